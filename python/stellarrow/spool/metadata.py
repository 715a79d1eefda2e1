"""What a spool's folder says of itself, so that it is never mixed up with another's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import SchemaMismatch, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.storage.atomic import sync_folder, write_all

_FILE: Final = "spool.json"
_FORMAT: Final = 1


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
        path = folder / _FILE
        if not path.exists():
            if any(one.name.isdecimal() for one in folder.iterdir()):
                raise SinkError(f"{path} is missing: put it back, or begin a new session")
            begun = cls(made_from)
            begun.write(folder)
            return begun
        held = _held(path)
        for fact, value in made_from.items():
            if held.made_from.get(fact) != value:
                raise SchemaMismatch(
                    f"{folder} was written with {fact} {held.made_from.get(fact)!r}, not {value!r}: ask for"
                    " the same again, or choose another folder"
                )
        return held

    def write(self, folder: Path) -> None:
        """Return once the folder says this, durably."""
        told = {
            "format": _FORMAT,
            **self.made_from,
            "gone": _ends(self.gone),
            "left_out": _ends(self.left_out),
        }
        aside = folder / f".{_FILE}"
        with aside.open("wb", buffering=0) as file:
            write_all(file, json.dumps(told, indent=1).encode())
            os.fsync(file.fileno())
        aside.replace(folder / _FILE)
        sync_folder(folder)


def _held(path: Path) -> Facts:
    """Read a file; one without a format is of the first."""
    try:
        told: dict[str, Any] = {"format": _FORMAT} | json.loads(path.read_bytes())
        if told.pop("format") == _FORMAT:
            gone, left_out = _ledgers(told.pop("gone")), _ledgers(told.pop("left_out", []))
            return Facts(told, gone, left_out)
    except (LookupError, ValueError, TypeError) as error:
        raise SinkError(
            f"{path} is damaged ({error!r}): nothing was changed; put a sound copy back, or begin a new"
            " session"
        ) from error
    raise SinkError(f"{path} is of another version: use the one that wrote it, or begin a new session")


def _ends(ledgers: LedgerSet) -> list[list[int]]:
    return [[part.first, part.end] for part in ledgers]


def _ledgers(ends: list[list[int]]) -> LedgerSet:
    return LedgerSet(LedgerRange(first, last) for first, last in ends)
