"""What a file holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import keys, schema
from stellarrow.errors import Damaged
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.duckdb_file import coverage
from stellarrow.sinks.duckdb_file.coverage import Entry, Making
from stellarrow.sinks.duckdb_file.file import DuckDbFile

_AT_ONCE: Final = 50_000  # rows


@dataclass(frozen=True, slots=True)
class HeldRows:
    """A table in a file."""

    file: DuckDbFile
    name: str
    making: Making
    entries: Sequence[Entry]

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
        where = Filter(**json.loads(self.making.filter or "{}"))
        return schema(f"{self.name}@{self.version}", decoded=bool(self.making.decoded), where=where)

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order."""
        known = self.schema
        wanted = chosen_columns(known, columns, self.name)
        shown = ", ".join(f'"{name}"' for name in columns)
        order = ", ".join(f'"{name}"' for name in keys(self.name) if name in known.names)
        query = (
            f'SELECT {shown} FROM "{self.name}"'
            f" WHERE ledger_sequence BETWEEN {ledgers.first} AND {ledgers.end} ORDER BY {order}"
        )
        with self.file.reading() as connection:
            for rows in connection.sql(query).to_arrow_reader(_AT_ONCE):
                yield rows.cast(wanted)

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count the rows of each ledger, and compare with how many were written."""
        for one in self.entries:
            if LedgerSet([one.ledgers]) & ledgers:
                yield self._counted(one)

    def _counted(self, entry: Entry) -> RowCounts:
        query = (
            f'SELECT ledger_sequence, count(*) FROM "{self.name}" WHERE ledger_sequence BETWEEN ? AND ?'
            " GROUP BY 1"
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
        return [
            HeldRows(file, name, making, coverage.entries(connection, name))
            for name, making in coverage.makings(connection).items()
        ]


def forget(file: DuckDbFile, table: str, ledgers: LedgerSet) -> None:
    """Remove ledgers from a table, rows and coverage in one transaction."""
    try:
        with file.transaction() as connection:
            for part in ledgers:
                file.do(
                    f'DELETE FROM "{table}" WHERE ledger_sequence BETWEEN ? AND ?', [part.first, part.end]
                )
            counted = file.do(f'SELECT ledger_sequence, count(*) FROM "{table}" GROUP BY 1').fetchall()
            coverage.remove(file, connection, table, ledgers, dict(counted))
    finally:
        file.close()
