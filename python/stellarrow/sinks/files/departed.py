"""What is said of ledgers whose files left a table: a record for each range, beside the table's folder.

`_lifecycle/<table>/<first>-<last>.archived.json` says that the files lie in an archive, `….deleted.json` that
they are gone for good. Both are written before the files go, so that nobody takes the ledgers for missing.
Versions that know no records pass over the folder; they see the ledgers as not there, and nothing as damage.
`….compressed.json` says of files that are here that they need not be compressed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.layout import file_name, named_range
from stellarrow.sinks.files.manifest import LARGEST, Entry, checksum
from stellarrow.storage.files import Found

LIFECYCLE: Final = "_lifecycle"
ARCHIVED: Final = "archived"
DELETED: Final = "deleted"
COMPRESSED: Final = "compressed"  # its files are here, compressed as far as they will be
_FORMAT: Final = 1
_CHECKSUM: Final = "checksum"


@dataclass(frozen=True, slots=True)
class Record:
    """Where the files of a range went: `entry` is what the manifest said of them.

    `closed_by` is the second by which the last of the ledgers had closed; `archive` a folder or URL.
    """

    state: str
    entry: Entry
    closed_by: int
    archive: str = ""

    def encode(self) -> bytes:
        report: dict[str, Any] = {
            "stellarrow_lifecycle": _FORMAT,
            "state": self.state,
            "closed_by": self.closed_by,
            "archive": self.archive,
            "entry": json.loads(self.entry.encode()),
        }
        report[_CHECKSUM] = checksum(report)
        return json.dumps(report, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> Record:
        """Read what may come from anyone; Damaged unless all of it is of the right kind."""
        try:
            if len(data) > LARGEST:
                raise ValueError(f"it has more than {LARGEST >> 20} MB")
            answer: dict[str, Any] = dict(json.loads(data))
            if answer.pop(_CHECKSUM) != checksum(answer):
                raise ValueError("its checksum is another")
            if answer["stellarrow_lifecycle"] != _FORMAT:
                version = answer["stellarrow_lifecycle"]
                raise SinkError(
                    f"{where} is of lifecycle version {version}, not {_FORMAT}: update stellarrow"
                )
            state, closed_by, archive = answer["state"], answer["closed_by"], answer["archive"]
            if state not in (ARCHIVED, DELETED) or type(closed_by) is not int or not isinstance(archive, str):
                raise TypeError("it does not say where the files are")
            entry = Entry.decode(json.dumps(answer["entry"]).encode(), where)
        except RecursionError as error:
            raise damaged(where, "is damaged (it is nested too deeply)") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(where, f"is damaged ({error!r:.200})") from error
        return cls(state, entry, closed_by, archive)


@dataclass(frozen=True, slots=True)
class Departed:
    """The ranges that have a record, by their names alone."""

    archived: frozenset[LedgerRange] = frozenset()
    deleted: frozenset[LedgerRange] = frozenset()
    ledgers: LedgerSet = field(default_factory=LedgerSet)

    @classmethod
    def of(cls, files: Iterable[Found]) -> Departed:
        paths = [file.path for file in files]
        found = {
            state: frozenset(one for path in paths if (one := named_range(path, suffix(state))))
            for state in (ARCHIVED, DELETED)
        }
        return cls(found[ARCHIVED], found[DELETED], LedgerSet([*found[ARCHIVED], *found[DELETED]]))


def suffix(state: str) -> str:
    """Return how the names of records of a state end."""
    return f".{state}.json"


def records_folder(table: str) -> str:
    """Return the folder of a table's records."""
    parent, slash, name = table.rpartition("/")
    return f"{parent}{slash}{LIFECYCLE}/{name}"


def record_path(table: str, ledgers: LedgerRange, state: str) -> str:
    return f"{records_folder(table)}/{file_name(ledgers, suffix(state))}"


def table_of_record(path: str) -> str | None:
    """Return the folder of the table that a record is of; None where a path is no record's."""
    folder, _, name = path.rpartition("/")
    parent, _, table = folder.rpartition("/")
    if parent.rpartition("/")[2] != LIFECYCLE or not any(
        named_range(name, suffix(state)) for state in (ARCHIVED, DELETED)
    ):
        return None
    above = parent.removesuffix(LIFECYCLE)
    return f"{above}{table}"
