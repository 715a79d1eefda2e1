"""What a table's folder says of itself: an entry for each ledger range, naming its files.

`<table>/_manifest/<first>-<last>.json`, written when the range's files are there. In a partitioned table the
entry is what makes a range count. In one without partitions the one file does, so that whoever reads all
files of the folder sees each ledger once; there the entry is for checking.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.errors import ConfigError, SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.layout import MANIFEST, file_name

SUFFIX: Final = ".json"
_FORMAT: Final = 3  # the first has no checksum, the second no digests of footers
_CHECKSUM: Final = "checksum"  # SHA-256 of all else that the entry says
_TOLD: Final = frozenset(("table", "schema_version", "network"))  # by every entry
_SHOWN: Final = 200  # characters of what is wrong with an entry
LARGEST: Final = 64 << 20  # bytes of an entry: those of 131,072 folders have 25 million


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a range: its path below the table, and what it must be.

    `footer` is the digest of what readers parse first; empty where the format has none, or an older entry.
    """

    path: str
    bytes: int
    rows: int
    sha256: str
    footer: str = field(default="", compare=False)

    def to_dict(self) -> dict[str, Any]:
        held = {"path": self.path, "bytes": self.bytes, "rows": self.rows, "sha256": self.sha256}
        return {**held, "footer_sha256": self.footer} if self.footer else held


@dataclass(frozen=True, slots=True)
class Entry:
    """The files of one ledger range, and the facts that all ranges of a table share."""

    ledgers: LedgerRange
    facts: dict[str, str]
    files: tuple[KeptFile, ...]

    def encode(self) -> bytes:
        report: dict[str, Any] = {
            "stellarrow_manifest": _FORMAT,
            **self.facts,
            "first_ledger": self.ledgers.first,
            "last_ledger": self.ledgers.end,
            "files": [file.to_dict() for file in self.files],
        }
        report[_CHECKSUM] = checksum(report)
        return json.dumps(report, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> Entry:
        """Read what may come from anyone; Damaged unless all of it is of the right kind."""
        if len(data) > LARGEST:
            raise damaged(where, f"is damaged (it has more than {LARGEST >> 20} MB)")
        try:
            answer: dict[str, Any] = dict(json.loads(data))
            if (held := answer.pop(_CHECKSUM, None)) is not None and held != checksum(answer):
                raise ValueError("its checksum is another")
            _check_version(answer.pop("stellarrow_manifest"), where, is_proven=held is not None)
            files = tuple(_kept_file(**file) for file in answer.pop("files"))
            ledgers = LedgerRange(_count(answer.pop("first_ledger")), _count(answer.pop("last_ledger")))
            if lacking := _TOLD - answer.keys():
                raise ValueError(f"it does not say {min(lacking)}")
            facts = {name: _text(value) for name, value in answer.items()}
        except RecursionError as error:
            raise damaged(where, "is damaged (it is nested too deeply)") from error
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
            raise damaged(where, f"is damaged ({_cut(repr(error))})") from error
        return cls(ledgers, facts, files)


def _check_version(version: Any, where: str, *, is_proven: bool) -> None:
    if is_proven and _count(version) > _FORMAT:
        raise SinkError(f"{where} is of manifest version {version}, not {_FORMAT}: update stellarrow")
    if version not in (range(2, _FORMAT + 1) if is_proven else (1,)):
        raise ValueError("it has no checksum, or one that its version has not")


def _kept_file(path: Any, bytes: Any, rows: Any, sha256: Any, footer_sha256: Any = "") -> KeptFile:
    """Take a file by a path of one folder at most, below the table's own."""
    folder, _, name = _text(path).rpartition("/")
    if not name or "/" in folder or {folder, name} & {".", ".."} or path.startswith("/") or "\0" in path:
        raise ValueError(f"{_cut(path)!r} is no path of a file of this table")
    return KeptFile(path, _count(bytes), _count(rows), _text(sha256), _text(footer_sha256))


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{_cut(repr(value))} is no count")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_cut(repr(value))} is no text")
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def checksum(told: Mapping[str, Any]) -> str:
    """Return what an entry must add up to, of all it says but this."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def entry_path(table: str, ledgers: LedgerRange) -> str:
    return f"{table}/{MANIFEST}/{file_name(ledgers, SUFFIX)}"
