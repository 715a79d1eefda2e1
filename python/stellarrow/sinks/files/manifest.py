"""What a table's folder says of itself: an entry for each ledger range, naming its files.

`<table>/_manifest/<first>-<last>.json`, written when the range's files are there. In a partitioned table the
entry is what makes a range count. In one without partitions the one file does, so that whoever reads all
files of the folder sees each ledger once; there the entry is for checking.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.errors import ConfigError, SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.layout import MANIFEST, file_name
from stellarrow.sinks.files.store import Damaged

SUFFIX: Final = ".json"
_FORMAT: Final = 1
_TOLD: Final = 200  # characters of what is wrong with an entry
LARGEST: Final = 64 << 20  # bytes of an entry: those of 131,072 folders have 25 million


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
        """Read what may come from anyone; Damaged unless all of it is of the right kind."""
        if len(data) > LARGEST:
            raise Damaged(where, f"is damaged (it has more than {LARGEST >> 20} MB)")
        try:
            told: dict[str, Any] = json.loads(data)
            version = told.pop("stellarrow_manifest")
            if version != _FORMAT and isinstance(version, int):
                raise SinkError(f"{where} is of manifest version {version}, not {_FORMAT}: update stellarrow")
            files = tuple(_kept_file(**file) for file in told.pop("files"))
            ledgers = LedgerRange(_count(told.pop("first_ledger")), _count(told.pop("last_ledger")))
            facts = {name: _text(value) for name, value in told.items()}
        except RecursionError as error:
            raise Damaged(where, "is damaged (it is nested too deeply)") from error
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise Damaged(where, f"is damaged ({_cut(repr(error))})") from error
        return cls(ledgers, facts, files)


def _kept_file(path: Any, bytes: Any, rows: Any, sha256: Any) -> KeptFile:
    """Take a file by a path of one folder at most, below the table's own."""
    folder, _, name = _text(path).rpartition("/")
    if not name or "/" in folder or {folder, name} & {".", ".."} or path.startswith("/") or "\0" in path:
        raise ValueError(f"{_cut(path)!r} is no path of a file of this table")
    return KeptFile(path, _count(bytes), _count(rows), _text(sha256))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{_cut(repr(value))} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_cut(repr(value))} is no text")
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}…"


def entry_path(table: str, ledgers: LedgerRange) -> str:
    return f"{table}/{MANIFEST}/{file_name(ledgers, SUFFIX)}"
