"""A Delta table as its sink keeps it: rows and coverage in one commit, or neither.

The coverage is a file of its own, `_stellarrow/N.json`; the commit names it, as the version of the
application transaction `stellarrow`. A commit that another writer forestalled is never rebased: what is
covered is read again, and only the rest is written.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Final
from uuid import uuid4

import pyarrow as pa

from stellarrow.core.tables import Table, folder_of, is_typed
from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerSet
from stellarrow.sinks.delta import typed_tables
from stellarrow.sinks.delta.log import DeltaLog, add, first_actions
from stellarrow.sinks.delta.schema_text import grown_text, schema_text
from stellarrow.sinks.delta.snapshot import APP, Action
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.lakehouse.columns import grown_columns
from stellarrow.sinks.lakehouse.coverage import Coverage, Making
from stellarrow.sinks.lakehouse.data_file import DataFiles, Written, narrowed
from stellarrow.sinks.transactional.stored_columns import StoredColumns
from stellarrow.storage.files import FileStore, Gone

_log: Final = logging.getLogger(__name__)
FOLDER: Final = "_stellarrow"  # of the coverage: vacuum leaves alone what begins with an underscore
TURNS: Final = 200  # that others may take before a commit of ours gets through
_LONGEST_TURN: Final = 1.0  # seconds to wait for another's
_CHANCES: Final = 20  # to read a coverage that others replace meanwhile


@dataclass(frozen=True, slots=True)
class _Placed:
    """A file that lies where the table will have it: its path, its entry in the log, rows by stride."""

    path: str
    action: Action
    rows: Mapping[int, int]


class DeltaBook:
    """The log and the coverage of one table; calls may come from several threads."""

    def __init__(
        self,
        store: FileStore,
        meant: Table,
        making: Making,
        stored: StoredColumns,
        format: Parquet,
        *,
        after_commit: Callable[[int, LedgerSet], None] = lambda *_: None,
    ) -> None:
        self.log = DeltaLog(store, folder_of(meant.name))
        self._store = store
        self._meant = meant
        self._making = making
        self._stored, self._schema = stored, stored.stored
        self._format = format
        self._after_commit = after_commit
        self._coverage: Coverage | None = None
        self._number: int | None = None  # of the coverage that was read
        self._lock = threading.Lock()

    def covered(self) -> LedgerSet:
        with self._lock:
            return self._refresh().ledgers

    def begin(self) -> DataFiles:
        return DataFiles(self._store.create, self._schema, self._format)

    def keep(self, files: Sequence[Written], ledgers: LedgerSet) -> LedgerSet:
        with self._lock:
            if self._coverage is None:
                self._refresh()
            placed = self._placed(files, ledgers)
            for turn in range(TURNS):
                held = self._coverage or Coverage(self._making)
                missing = ledgers - held.ledgers
                if missing != ledgers:
                    placed = self._narrowed(placed, missing)
                    ledgers = missing
                if not missing:
                    break
                if self._commit(placed, missing, held):
                    self._after_commit(self.log.snapshot.version, missing)
                    break
                threading.Event().wait(random.uniform(0, min(_LONGEST_TURN, 0.01 * 2**turn)))  # noqa: S311  not all at once
            else:
                raise SinkError(
                    f"other writers committed to {self.log.where} {TURNS} times before a commit of ours got"
                    " through: run fewer writers, or let each bring more ledgers at once"
                )
            return (self._coverage or Coverage(self._making)).ledgers

    def _commit(self, placed: _Placed | None, ledgers: LedgerSet, held: Coverage) -> bool:
        """Commit; where another took the number, read what is there by now, and say whether it was ours."""
        columns = self._columns(held)
        typed = columns.known if is_typed(self._meant.name) else None
        grown = held.grown(ledgers, placed.rows if placed else {}, typed)
        text = grown.encode()
        number = number_of(text)
        before = self._number
        actions = self._actions(number, columns.stored)
        if placed:
            actions.append(placed.action)
        self.log.put(coverage_path(self.log.folder, number), text, new=True)
        told = {"mode": "Append", "ledgers": str(ledgers)}
        if self.log.commit("WRITE", actions, **told):
            self._coverage, self._number = grown, number
        else:
            self._refresh()
        # By now, or by a commit whose answer was lost, on which others may have built.
        landed = self._number == number or self._has(placed)
        gone = before if landed else number
        if gone is not None:
            self._store.remove([coverage_path(self.log.folder, gone)])
        return landed

    def _has(self, placed: _Placed | None) -> bool:
        return placed is not None and placed.action["add"]["path"] in self.log.snapshot.files

    def _columns(self, held: Coverage) -> StoredColumns:
        """Return the columns that the table has with ours."""
        return grown_columns(self.log.where, held.typed, self._stored)

    def _actions(self, number: int, columns: pa.Schema) -> list[Action]:
        """Return what a commit does beside adding a file: the table itself, new columns, the coverage."""
        snapshot = self.log.snapshot
        actions: list[Action] = [{"txn": {"appId": APP, "version": number}}]
        if snapshot.metadata is None:
            meant, schema = self._meant, schema_text(columns)
            if is_typed(meant.name):
                typed_tables.note(self.log)
            return [*first_actions(meant.name, schema, meant.description, str(uuid4())), *actions]
        held = snapshot.metadata
        if text := grown_text(self.log.where, held["schemaString"], columns):
            actions.insert(0, {"metaData": {**held, "schemaString": text}})
        return actions

    def _placed(self, files: Sequence[Written], ledgers: LedgerSet) -> _Placed | None:
        """Put a file where the table will have it; until a commit names it, no reader sees it."""
        if not files:
            return None
        (file,) = files  # the table has no partitions
        name = f"part-{ledgers.first:010d}-{ledgers.last:010d}-{token_hex(8)}{self._format.suffix}"
        path = f"{self.log.folder}/{name}"
        file.upload.place(path)
        return _Placed(path, add(name, file), file.rows)

    def _narrowed(self, placed: _Placed | None, missing: LedgerSet) -> _Placed | None:
        """Put a file in the place of another that has rows which are there by now."""
        if placed is None:
            return None
        left = None
        if missing:
            into = self.begin()
            with self._store.read(placed.path) as whole:
                files = narrowed(whole, missing, into, self._schema, self._format)
            try:
                left = self._placed(files, missing)
            finally:
                into.discard()
        self._store.remove([placed.path])
        return left

    def _refresh(self) -> Coverage:
        """Read what is there, and refuse what was written otherwise."""
        found = read_coverage(self.log, self._number, self._coverage)
        self._number = self.log.snapshot.coverage
        self._coverage = found or Coverage(self._making)
        if found:
            self._making.check(self.log.where, found.making)
            held, columns = self.log.snapshot.metadata, self._columns(found).stored
            if held:
                grown_text(self.log.where, held["schemaString"], columns)
        return self._coverage


def number_of(text: bytes) -> int:
    """Return what a commit names a coverage by: 63 bits, as an application's version is a long."""
    return int.from_bytes(hashlib.sha256(text).digest()[:8]) >> 1


def coverage_path(folder: str, number: int) -> str:
    """Return where the coverage of a number lies."""
    return f"{folder}/{FOLDER}/{number}.json"


def read_coverage(
    log: DeltaLog, known: int | None = None, coverage: Coverage | None = None
) -> Coverage | None:
    """Read a table's log, and the coverage it names by now, unless known; None where there is no table."""
    for chance in range(_CHANCES):
        snapshot = log.refresh()
        snapshot.check()
        number = snapshot.coverage
        if number is None:
            return None
        if number == known and coverage:
            return coverage
        try:
            with log.store.read(coverage_path(log.folder, number)) as file:
                return Coverage.decode(log.where, file.read())
        except Gone as error:  # replaced just now
            if log.refresh().coverage == number and chance:
                raise Damaged(
                    f"the coverage of {log.where}, {FOLDER}/{number}.json, is gone: restore it, or write all"
                    " of it to another place"
                ) from error
    raise SinkError(f"{log.where} changes faster than it can be read: do this again later")
