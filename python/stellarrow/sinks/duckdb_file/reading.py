"""What a file holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import is_typed, keys, schema
from stellarrow.errors import Damaged
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.duckdb_file import coverage, typed_tables
from stellarrow.sinks.duckdb_file.coverage import Entry, Making
from stellarrow.sinks.duckdb_file.file import DuckDbFile
from stellarrow.sinks.duckdb_file.typed_tables import place_of
from stellarrow.sinks.transactional.stored_columns import StoredColumns, order_of

_AT_ONCE: Final = 50_000  # rows


@dataclass(frozen=True, slots=True)
class HeldRows:
    """A table in a file."""

    file: DuckDbFile
    name: str
    making: Making
    entries: Sequence[Entry]
    typed: pa.Schema | None = None  # the columns of a contract's own table

    @property
    def version(self) -> str:
        return self.making.schema_version

    @property
    def network(self) -> str:
        return self.making.network

    @property
    def ledgers(self) -> LedgerSet:
        return LedgerSet(one.ledgers for one in self.entries)

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""
        if self.typed is not None:
            return self.typed
        where = Filter(**json.loads(self.making.filter or "{}"))
        return schema(f"{self.name}@{self.version}", decoded=bool(self.making.decoded), where=where)

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order."""
        known = self.schema
        chosen_columns(known, columns, self.name)
        stored = StoredColumns(known, known) if self.typed is None else StoredColumns.typed(known)
        shown = ", ".join(f'"{name}"' for name in stored.names(columns))
        key = order_of(known) if is_typed(self.name) else keys(self.name)
        order = ", ".join(f'"{name}"' for name in key if name in known.names)
        query = (
            f"SELECT {shown} FROM {place_of(self.name)}"
            f" WHERE ledger_sequence BETWEEN {ledgers.first} AND {ledgers.end} ORDER BY {order}"
        )
        with self.file.reading() as connection:
            for rows in connection.sql(query).to_arrow_reader(_AT_ONCE):
                yield stored.back(rows, columns)

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count the rows of each ledger, and compare with how many were written."""
        for one in self.entries:
            if LedgerSet([one.ledgers]) & ledgers:
                yield self._counted(one)

    def _counted(self, entry: Entry) -> RowCounts:
        query = (
            f"SELECT ledger_sequence, count(*) FROM {place_of(self.name)}"
            " WHERE ledger_sequence BETWEEN ? AND ? GROUP BY 1"
        )
        with self.file.reading() as connection:
            found = connection.execute(query, [entry.ledgers.first, entry.ledgers.end]).fetchall()
        rows = Counter(dict(found))
        if rows.total() == entry.rows:
            return RowCounts(entry.ledgers, rows)
        error = Damaged(
            f"table {self.name} has {rows.total()} rows of ledgers {entry.ledgers}, and {entry.rows} were"
            " written: rows were added or removed by hand"
        )
        return RowCounts(entry.ledgers, rows, error, LedgerSet([entry.ledgers]))


def held_tables(file: DuckDbFile) -> list[HeldRows]:
    """Return the tables of a file, none where there is none."""
    with file.reading() as connection:
        if connection is None:
            return []
        typed = typed_tables.columns_of(connection)
        return [
            HeldRows(file, name, making, coverage.entries(connection, name), typed.get(name))
            for name, making in coverage.makings(connection).items()
        ]


def typed_columns(file: DuckDbFile) -> dict[str, pa.Schema]:
    """Return the columns of contracts' own tables, none where there is no file."""
    with file.reading() as connection:
        return {} if connection is None else typed_tables.columns_of(connection)


def forget(file: DuckDbFile, table: str, ledgers: LedgerSet) -> None:
    """Remove ledgers from a table, rows and coverage in one transaction."""
    try:
        with file.transaction() as connection:
            for part in ledgers:
                due = [part.first, part.end]
                file.do(f"DELETE FROM {place_of(table)} WHERE ledger_sequence BETWEEN ? AND ?", due)
            query = f"SELECT ledger_sequence, count(*) FROM {place_of(table)} GROUP BY 1"
            counted = file.do(query).fetchall()
            coverage.remove(file, connection, table, ledgers, dict(counted))
    finally:
        file.close()
