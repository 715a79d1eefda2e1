"""What a spool's folder says of itself, so that it is never mixed up with another's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import SchemaMismatch
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.segments import sync_folder, write_all

_FILE: Final = "spool.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a spool is made from, which ledgers are gone from it, and which were left out."""

    made_from: Mapping[str, Any]
    gone: LedgerSet = field(default_factory=LedgerSet)
    left_out: LedgerSet = field(default_factory=LedgerSet)

    @classmethod
    def agreed(cls, folder: Path, made_from: Mapping[str, Any]) -> Facts:
        """Return what a folder says, or let it say this; SchemaMismatch where it is of other things."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _FILE).exists():
            begun = cls(made_from)
            begun.write(folder)
            return begun
        held: dict[str, Any] = json.loads((folder / _FILE).read_bytes())
        for fact, value in made_from.items():
            if held.get(fact) != value:
                raise SchemaMismatch(
                    f"{folder} was written with {fact} {held.get(fact)!r}, not {value!r}: ask for the same"
                    " again, or choose another folder"
                )
        return cls(made_from, _ledgers(held["gone"]), _ledgers(held.get("left_out", [])))

    def write(self, folder: Path) -> None:
        """Return once the folder says this, durably."""
        told = {**self.made_from, "gone": _ends(self.gone), "left_out": _ends(self.left_out)}
        aside = folder / f".{_FILE}"
        with aside.open("wb", buffering=0) as file:
            write_all(file, json.dumps(told, indent=1).encode())
            os.fsync(file.fileno())
        aside.replace(folder / _FILE)
        sync_folder(folder)


def _ends(ledgers: LedgerSet) -> list[list[int]]:
    return [[part.first, part.end] for part in ledgers]


def _ledgers(ends: list[list[int]]) -> LedgerSet:
    return LedgerSet(LedgerRange(first, last) for first, last in ends)
