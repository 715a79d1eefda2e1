"""What a namespace of Iceberg tables holds, whoever merged their files: tables, their ledgers, their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import is_typed, tables
from stellarrow.errors import SinkError
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.iceberg.book import coverage_of
from stellarrow.sinks.iceberg.catalog import COVERAGE, Namespace, told
from stellarrow.sinks.lakehouse.counting import Counting
from stellarrow.sinks.lakehouse.coverage import Coverage
from stellarrow.sinks.lakehouse.held import Held
from stellarrow.sinks.lakehouse.rows import HeldFile, in_order
from stellarrow.storage.files import Gone

with needing("Iceberg", "iceberg"):
    from pyiceberg.conversions import from_bytes
    from pyiceberg.table import Table

_LEDGER: Final = "ledger_sequence"
_FIRST: Final = 0  # where a file does not tell between which ledgers it is
_LAST: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class HeldIceberg(Held):
    """A table that is there."""

    where: str
    table: Table = field(repr=False, compare=False)
    coverage: Coverage

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order, of the snapshot that was found."""
        known = self.schema
        chosen_columns(known, columns, self.where)
        files, stored = held_files(self.where, self.table), self.stored
        for rows in in_order(files, self.open_file, stored.stored, stored.names(columns), ledgers):
            yield stored.back(rows, columns)

    def open_file(self, path: str) -> pa.NativeFile:
        with told(path):
            try:
                return pa.PythonFile(self.table.io.new_input(path).open(), mode="r")
            except FileNotFoundError as error:
                raise Gone(f"{path} of {self.where} is gone") from error

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count what files hold, and compare with how many rows were written of each hundred thousand."""
        files, schema = held_files(self.where, self.table), self.stored.stored
        return Counting(self.where, self.coverage, files, self.open_file, schema).row_counts(ledgers)


def held_files(where: str, table: Table) -> list[HeldFile]:
    """Return a table's files, and between which ledgers each is."""
    at: Any = table.schema().find_field(_LEDGER)
    found = []
    with told(where):
        for task in table.scan().plan_files():
            if task.delete_files:
                raise SinkError(f"{where} has deletes of another program: rewrite its data files without")
            file = task.file
            low, high = (file.lower_bounds or {}).get(at.field_id), (file.upper_bounds or {}).get(at.field_id)
            first = int(from_bytes(at.field_type, low)) if low else _FIRST
            last = int(from_bytes(at.field_type, high)) if high else _LAST
            found.append(HeldFile(file.file_path, first, last, file.record_count))
    return found


def held_tables(namespace: Namespace) -> list[HeldIceberg]:
    """Return the tables of a namespace, sorted."""
    plain = _held(namespace, sorted({one.name for one in tables()}))
    return [*plain, *held_typed(namespace)]


def held_typed(namespace: Namespace) -> list[HeldIceberg]:
    """Return contracts' own tables of a namespace, sorted; others may have tables that begin alike."""
    found = _held(namespace, namespace.typed(), only_ours=True)
    return sorted((one for one in found if is_typed(one.name)), key=lambda one: one.name)


def _held(namespace: Namespace, names: Sequence[str], *, only_ours: bool = False) -> list[HeldIceberg]:
    found = []
    for name in names:
        table, where = namespace.load(name), f"{namespace}.{name}"
        if table and (COVERAGE in table.properties or not only_ours):
            found.append(HeldIceberg(where, table, coverage_of(where, table)))
    return found
