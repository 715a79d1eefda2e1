"""What a spool's folder says of itself, so that it is never mixed up with another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import Damaged, SchemaMismatch, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.spool.table_file import readable
from stellarrow.storage.atomic import write_all, written_aside
from stellarrow.storage.private import private_file, private_folder

_FILE: Final = "spool.json"
_FORMAT: Final = 2  # the first has neither a checksum nor the sealed segments
_CHECKSUM: Final = "sha256"  # of all else that the file says


@dataclass(frozen=True, slots=True)
class Facts:
    """What a spool is made from, which ledgers are gone from it, and which were left out.

    `sealed` are first and last ledger of each segment that is complete, in no order; None where an
    earlier version wrote the folder, which did not note them.
    """

    made_from: Mapping[str, Any]
    gone: LedgerSet = field(default_factory=LedgerSet)
    left_out: LedgerSet = field(default_factory=LedgerSet)
    sealed: Mapping[int, int] | None = field(default_factory=dict)

    @classmethod
    def agreed(cls, folder: Path, made_from: Mapping[str, Any]) -> Facts:
        """Return what a folder says, or let it say this; SchemaMismatch where it is of other things."""
        private_folder(folder)
        path = folder / _FILE
        if not path.exists():
            if any(one.name.isdecimal() for one in folder.iterdir()):
                raise Damaged(f"{path} is missing: restore it, or start a new session")
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
        report = {
            "format": _FORMAT,
            **self.made_from,
            "gone": _ends(self.gone),
            "left_out": _ends(self.left_out),
            "sealed": sorted((self.sealed or {}).items()),
        }
        report[_CHECKSUM] = _checksum(report)
        with written_aside(folder / _FILE) as aside, private_file(aside, "xb", buffering=0) as file:
            write_all(file, json.dumps(report, indent=1).encode())


def _held(path: Path) -> Facts:
    """Read a file; one without a format is of the first."""
    with readable(path):
        data = path.read_bytes()
    try:
        answer: dict[str, Any] = dict(json.loads(data))
        if (checksum := answer.pop(_CHECKSUM, None)) is not None and checksum != _checksum(answer):
            raise ValueError("its checksum is another")
        written = answer.pop("format", 1)
        if written != (1 if checksum is None else _FORMAT):
            raise SinkError(
                f"{path} is of another version: use the one that wrote it, or start a new session"
            )
        gone, left_out = _ledgers(answer.pop("gone")), _ledgers(answer.pop("left_out", []))
        sealed = {int(first): int(last) for first, last in answer.pop("sealed")} if checksum else None
        if set(answer) != {"tables", "network"}:
            raise ValueError(f"it says {', '.join(answer)}, not tables and network")
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        raise Damaged(
            f"{path} is damaged ({error!r}): nothing was changed; restore a sound copy or start a new session"
        ) from error
    return Facts(answer, gone, left_out, sealed)


def _checksum(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _ends(ledgers: LedgerSet) -> list[list[int]]:
    return [[part.first, part.end] for part in ledgers]


def _ledgers(ends: list[list[int]]) -> LedgerSet:
    return LedgerSet(LedgerRange(first, last) for first, last in ends)
