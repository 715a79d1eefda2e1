"""What a table's folder says of itself: an entry for each ledger range, naming its files.

`<table>/_manifest/<first>-<last>.json`, written when the range's files are there. In a partitioned table the
entry is what makes a range count. In one without partitions the one file does, so that whoever reads all
files of the folder sees each ledger once; there the entry is for checking.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.layout import MANIFEST, file_name
from stellarrow.sinks.files.store import damaged

SUFFIX: Final = ".json"
_FORMAT: Final = 2  # the first has no checksum
_CHECKSUM: Final = "checksum"  # SHA-256 of all else that the entry says
_TOLD: Final = frozenset(("table", "schema_version", "network"))  # by every entry


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
        report: dict[str, Any] = {
            "stellarrow_manifest": _FORMAT,
            **self.facts,
            "first_ledger": self.ledgers.first,
            "last_ledger": self.ledgers.end,
            "files": files,
        }
        report[_CHECKSUM] = checksum(report)
        return json.dumps(report, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> Entry:
        try:
            answer: dict[str, Any] = dict(json.loads(data))
            if (held := answer.pop(_CHECKSUM, None)) is not None and held != checksum(answer):
                raise ValueError("its checksum is another")
            version = answer.pop("stellarrow_manifest")
            files = tuple(KeptFile(**file) for file in answer.pop("files"))
            ledgers = LedgerRange(answer.pop("first_ledger"), answer.pop("last_ledger"))
            if lacking := _TOLD - answer.keys():
                raise ValueError(f"it does not say {min(lacking)}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise damaged(where, f"is damaged ({error!r})") from error
        if version != (_FORMAT if held else 1):
            raise SinkError(f"{where} is of manifest version {version}, not {_FORMAT}: update stellarrow")
        return cls(ledgers, {name: str(value) for name, value in answer.items()}, files)


def checksum(told: Mapping[str, Any]) -> str:
    """Return what an entry must add up to, of all it says but this."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def entry_path(table: str, ledgers: LedgerRange) -> str:
    return f"{table}/{MANIFEST}/{file_name(ledgers, SUFFIX)}"
