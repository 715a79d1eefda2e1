"""An Iceberg table as its sink keeps it: rows and coverage in one commit, or neither.

The coverage is a property of the table, set in the transaction that adds the file. Each commit makes a
snapshot, with rows or without, and asks that the one before is still the table's: who comes second reads the
coverage again, and writes only the rest. The library's own way, to rebase and commit again, is switched off.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import Table as Meant
from stellarrow.core.tables import is_typed
from stellarrow.errors import SchemaMismatch, SinkError
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.iceberg.catalog import (
    COVERAGE,
    FileUpload,
    Namespace,
    told,
    unmeasured,
    with_ids,
)
from stellarrow.sinks.iceberg.commits import Commit, expired, guarded
from stellarrow.sinks.iceberg.partitions import Division, data_file, spec_of
from stellarrow.sinks.lakehouse.columns import grown_columns
from stellarrow.sinks.lakehouse.coverage import Coverage, Making
from stellarrow.sinks.lakehouse.data_file import DataFiles, Divide, Written, narrowed, undivided
from stellarrow.sinks.transactional.stored_columns import StoredColumns

with needing("Iceberg", "iceberg"):
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table import Table, TableProperties
    from pyiceberg.table.update.snapshot import ExpireSnapshots

TURNS: Final = 200  # that others may take before a commit of ours gets through
_LOADED_SECONDS: Final = 60.0  # that a table is used for: a catalog lends keys of a store for some time
_CHANCES: Final = 6  # to make a table beside others
_LONGEST_TURN: Final = 1.0  # seconds to wait for another's
LEDGERS: Final = "stellarrow.ledgers"  # of a snapshot's summary, for people: what it brought


@dataclass(frozen=True, slots=True)
class _Placed:
    """A file that lies where the table will have it."""

    path: str
    file: Written


class IcebergBook:
    """One table of a namespace; calls may come from several threads."""

    def __init__(
        self,
        namespace: Namespace,
        meant: Meant,
        making: Making,
        stored: StoredColumns,
        format: Parquet,
        *,
        snapshots: int,
        after_commit: Callable[[LedgerSet], None] = lambda _: None,
    ) -> None:
        self._namespace = namespace
        self._meant = meant
        self._making = making
        self._stored, self._schema = stored, stored.stored
        self._format = format
        self._snapshots = snapshots
        self._after_commit = after_commit
        self._table: Table | None = None
        self._loaded = 0.0  # when it was asked of the catalog
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The table, for people."""
        return self._namespace.where(self._meant.name)

    def covered(self) -> LedgerSet:
        with self._lock:
            return self._refresh().ledgers

    def begin(self) -> DataFiles:
        """Begin files, divided as the table is, or will be where it is not there yet."""
        return DataFiles(FileUpload, self._schema, self._format, self._division(self._table))

    def _division(self, table: Table | None) -> Divide:
        if table is not None:
            spec, schema = table.spec(), table.schema()
        else:
            schema = with_ids(self._schema)
            spec = spec_of(self._namespace.location, schema)
        return undivided if spec.is_unpartitioned() else Division.of(spec, schema)

    def keep(self, files: Sequence[Written], ledgers: LedgerSet) -> LedgerSet:
        with self._lock:
            held = self._refresh() if self._table is None else self._coverage(self._table)
            if self._table is None:
                held = self._created()
            placed = self._placed(files)
            for turn in range(TURNS):
                missing = ledgers - held.ledgers
                if missing != ledgers:
                    placed = self._narrowed(placed, missing)
                    ledgers = missing
                if not missing or self._commit(placed, missing, held):
                    return self._coverage(self._known()).ledgers
                wait = random.uniform(0, min(_LONGEST_TURN, 0.01 * 2**turn))  # noqa: S311  not all at once
                threading.Event().wait(wait)
                held = self._refresh()
            raise SinkError(
                f"other writers committed to {self.where} {TURNS} times before a commit of ours got"
                " through: run fewer writers, or let each bring more ledgers at once"
            )

    def _created(self) -> Coverage:
        """Make the table, or find that another writer did at the same moment."""
        for turn in range(_CHANCES):
            try:
                first = Coverage(self._making, typed=self._typed(self._stored)).encode().decode()
                self._namespace.create(self._meant.name, self._schema, first)
            except SinkError:
                held = self._refresh()
                if self._table is None and turn + 1 == _CHANCES:
                    raise
            else:
                held = self._refresh()
            if self._table is not None:
                return held
            threading.Event().wait(random.uniform(0, 0.1 * 2**turn))  # noqa: S311  not all at once
        raise SinkError(f"{self.where} cannot be made: look at what the catalog says")

    def _commit(self, placed: Sequence[_Placed], ledgers: LedgerSet, held: Coverage) -> bool:
        """Commit; where another was faster, or nobody knows, see whose coverage is there by now."""
        old = expired(self._known(), self._snapshots)
        table = guarded(self._known(), old)  # anew: of every commit the library makes metadata
        rows: Counter[int] = sum((one.file.rows for one in placed), Counter())
        columns = self._columns(held)
        text = held.grown(ledgers, rows, self._typed(columns)).encode().decode()
        try:
            with told(self.where):
                self._committed(self._widened(table, columns.stored), placed, ledgers, text, old)
        except SinkError as error:
            self._refresh()
            landed = self._known().properties.get(COVERAGE) == text or self._has(placed)
            is_beaten = isinstance(error.__cause__, CommitFailedException) or _is_locked(error)
            if not landed and not is_beaten and not self._are_gone(old):
                raise
            return bool(landed)
        if time.monotonic() - self._loaded > _LOADED_SECONDS:
            self._load()
        self._after_commit(ledgers)
        return True

    def _has(self, placed: Sequence[_Placed]) -> bool:
        """Tell whether the table has files of a commit that was taken, then refused when repeated."""
        paths = {one.path for one in placed}
        with told(self.where):
            held = self._known().scan().plan_files() if paths else ()
            return any(task.file.file_path in paths for task in held)

    def _are_gone(self, snapshots: Sequence[int]) -> bool:
        """Tell whether another let snapshots expire that were to expire with a commit, which fails then."""
        there = {one.snapshot_id for one in self._known().metadata.snapshots}
        return not there.issuperset(snapshots)

    def _columns(self, held: Coverage) -> StoredColumns:
        """Return the columns that the table has with ours."""
        return grown_columns(self.where, held.typed, self._stored)

    def _typed(self, columns: StoredColumns) -> pa.Schema | None:
        return columns.known if is_typed(self._meant.name) else None

    def _widened(self, table: Table, columns: pa.Schema) -> Commit:
        """Begin a transaction, with the columns that the table lacks."""
        transaction = Commit(table)
        held = {field.name for field in table.schema().fields}
        if new := [field for field in columns if field.name not in held]:
            with transaction.update_schema() as update:
                for field in with_ids(pa.schema(new)).fields:
                    update.add_column(field.name, field.field_type, required=False)
            transaction.set_properties(unmeasured(pa.schema(new)))
        return transaction

    def _committed(
        self, transaction: Commit, placed: Sequence[_Placed], ledgers: LedgerSet, text: str, old: list[int]
    ) -> None:
        told_files = {}
        if transaction.table_metadata.name_mapping() is None:  # files name their columns, and number none
            mapping = transaction.table_metadata.schema().name_mapping
            told_files[TableProperties.DEFAULT_NAME_MAPPING] = mapping.model_dump_json()
        transaction.set_properties({COVERAGE: text, **told_files})
        # With rows or without, so that no two commits pass each other.
        with transaction.update_snapshot({LEDGERS: str(ledgers)}).merge_append() as snapshot:
            for one in placed:
                snapshot.append_data_file(data_file(transaction.table_metadata, one.path, one.file))
        if old:
            ExpireSnapshots(transaction).by_ids(old).commit()
        transaction.commit_transaction()

    def _placed(self, files: Sequence[Written]) -> list[_Placed]:
        """Put files where the table will have them; until a commit names them, no reader sees them."""
        table, placed = self._known(), []
        for file in files:
            if file.divide != self._division(table):  # of a table that another writer made meanwhile
                placed += self._placed_again(file)
                continue
            path = f"{table.location()}/data/part-{token_hex(12)}{self._format.suffix}"
            upload: Any = file.upload
            upload.table = table
            upload.place(path)
            placed.append(_Placed(path, file))
        return placed

    def _placed_again(self, file: Written) -> list[_Placed]:
        """Divide a file's rows as the table is, and put those."""
        into, every = self.begin(), LedgerSet([LedgerRange(0, 2**32 - 1)])
        try:
            return self._placed(narrowed(file.upload.written(), every, into, self._schema, self._format))
        finally:
            into.discard()

    def _narrowed(self, placed: Sequence[_Placed], missing: LedgerSet) -> list[_Placed]:
        """Put files in the place of others that have rows which are there by now."""
        left, table = list[_Placed](), self._known()
        for one in placed:
            if missing:
                into = self.begin()
                try:
                    with (
                        told(one.path),
                        pa.PythonFile(table.io.new_input(one.path).open(), mode="r") as whole,
                    ):
                        files = narrowed(whole, missing, into, self._schema, self._format)
                    left += self._placed(files)
                finally:
                    into.discard()
            with told(one.path):
                table.io.delete(one.path)
        return left

    def _known(self) -> Table:
        if self._table is None:
            raise SinkError(f"{self.where} was removed while it was written to: extract it anew")
        return self._table

    def _refresh(self) -> Coverage:
        """Read what is there, and refuse what was written otherwise."""
        self._load()
        return self._coverage(self._table) if self._table else Coverage(self._making)

    def _load(self) -> None:
        self._table = self._namespace.load(self._meant.name)
        self._loaded = time.monotonic()

    def _coverage(self, table: Table) -> Coverage:
        found = coverage_of(self.where, table)
        self._making.check(self.where, found.making)
        self._columns(found)
        return found


def coverage_of(where: str, table: Table) -> Coverage:
    """Return what a table's property says is there."""
    text = table.properties.get(COVERAGE)
    if text is None:
        raise SchemaMismatch(f"{where} is a table that no stellarrow wrote: choose another namespace")
    return Coverage.decode(where, text)


def _is_locked(error: SinkError) -> bool:
    """Tell whether a catalog in SQLite was busy with another writer."""
    return "database is locked" in str(error)
