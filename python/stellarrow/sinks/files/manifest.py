"""What a table's folder says of itself: an entry for each ledger range, naming its files.

`<table>/_manifest/<first>-<last>.json`, written when the range's files are there. In a partitioned table the
entry is what makes a range count. In one without partitions the one file does, so that whoever reads all
files of the folder sees each ledger once; there the entry is for checking.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.layout import MANIFEST, file_name
from stellarrow.sinks.files.store import damaged

SUFFIX: Final = ".json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a range: its path below the table, and what it must be."""

    path: str
    bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The files of one ledger range, and the facts that all ranges of a table share."""

    ledgers: LedgerRange
    facts: dict[str, str]
    files: tuple[KeptFile, ...]

    def encode(self) -> bytes:
        files = [
            {"path": file.path, "bytes": file.bytes, "rows": file.rows, "sha256": file.sha256}
            for file in self.files
        ]
        told = {
            "stellarrow_manifest": _FORMAT,
            **self.facts,
            "first_ledger": self.ledgers.first,
            "last_ledger": self.ledgers.end,
            "files": files,
        }
        return json.dumps(told, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> Entry:
        try:
            told: dict[str, Any] = json.loads(data)
            version = told.pop("stellarrow_manifest")
            files = tuple(KeptFile(**file) for file in told.pop("files"))
            ledgers = LedgerRange(told.pop("first_ledger"), told.pop("last_ledger"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(where, f"is damaged ({error!r})") from error
        if version != _FORMAT:
            raise SinkError(f"{where} is of manifest version {version}, not {_FORMAT}: update stellarrow")
        return cls(ledgers, {name: str(value) for name, value in told.items()}, files)


def entry_path(table: str, ledgers: LedgerRange) -> str:
    return f"{table}/{MANIFEST}/{file_name(ledgers, SUFFIX)}"
