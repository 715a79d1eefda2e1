"""Rows on the server: written under the number of a batch, counted, and removed where they never count."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.tables import is_typed
from stellarrow.errors import SchemaMismatch, SinkUnavailable, StellarrowError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.clickhouse import ddl, typed_tables
from stellarrow.sinks.clickhouse.commits import Part
from stellarrow.sinks.clickhouse.server import Server, text
from stellarrow.sinks.transactional.batch_buffer import BatchBuffer
from stellarrow.sinks.transactional.stored_columns import StoredColumns

_log: Final = logging.getLogger(__name__)
_LOOKS: Final = 20  # at a view that others make anew meanwhile
_MOST_ROWS: Final = 1_000_000  # of one INSERT
_MOST_RANGES: Final = 1_000  # of one condition, where it can be divided


class RowStore:
    """The tables of a database."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._database = server.address.database

    def make(self, tables: Sequence[tuple[str, pa.Schema]]) -> None:
        """Make what is not there: tables, columns that came later, views."""
        for statement in ddl.database(self._database):
            self._server.do(statement)
        for name, columns in tables:
            size = self._server.address.partition_ledgers
            for statement in ddl.create(self._database, name, columns, size):
                self._server.do(statement)
            added = self._add_columns(name, columns)
            if is_typed(name):
                self._check_columns(name, columns)
                self._show(name)
            else:
                self._server.do(ddl.view(self._database, name, columns.names, anew=added))
            if name == "contract_data" and "change_index" in columns.names:
                for statement in ddl.states(self._database):
                    self._server.do(statement)

    def _add_columns(self, table: str, columns: pa.Schema) -> bool:
        """Add columns that the rows or the view lack; tell whether the view does."""
        shown, rows = self._columns(table)
        for field in columns:
            if field.name not in rows:
                self._server.do(ddl.add_column(self._database, table, field))
        return bool(shown) and not {*columns.names} <= {*shown}

    def _columns(self, table: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return the columns of a table's view and of its rows, in order, each with its type."""
        view, rows = ddl.view_name(table), ddl.rows_name(table)
        there: dict[str, dict[str, str]] = {view: {}, rows: {}}
        for row in self._server.rows(
            f"SELECT table, name, type FROM system.columns WHERE database = '{self._database}'"
            f" AND table IN ('{view}', '{rows}') ORDER BY table, position"
        ):
            there[text(row["table"])][text(row["name"])] = text(row["type"])
        return there[view], there[rows]

    def _check_columns(self, table: str, columns: pa.Schema) -> None:
        """Refuse a contract's table to which another writer gave a column of another type meanwhile."""
        _, rows = self._columns(table)
        for field in columns:
            if (held := rows.get(field.name)) != (wanted := ddl.column_type(field)):
                raise SchemaMismatch(
                    f"{ddl.rows_name(table)} has the column {field.name} as {held} and not as {wanted}, made"
                    " by one that did not know of this: write one of them to another database"
                )

    def _show(self, table: str) -> None:
        """Let the view have all columns, also those that another adds at the same time."""
        for _ in range(_LOOKS):
            shown, rows = self._columns(table)
            names = [name for name in rows if name != ddl.BATCH]
            if {*names} <= {*shown}:
                return
            self._server.do(ddl.view(self._database, table, names, anew=bool(shown)))
        raise SinkUnavailable(f"{ddl.rows_name(table)} gets columns faster than they can be shown: try again")

    def write(
        self,
        table: str,
        batch: int,
        batches: BatchBuffer,
        asked: str,
        ledgers: LedgerSet,
        *,
        own: StoredColumns | None = None,
    ) -> int:
        """Write the rows of these ledgers, each once; return how many.

        `own` are the columns of a contract's table.
        """
        chosen = (
            _within(one.tables[asked], part, LedgerRange(one.first, one.last))
            for one, part in batches.parts(ledgers)
        )
        rows = pa.Table.from_batches(typed_tables.put(one, own) if own else one for one in chosen)
        marked = rows.append_column(ddl.BATCH, pa.repeat(pa.scalar(batch, pa.uint64()), rows.num_rows))
        for start in range(0, rows.num_rows, _MOST_ROWS):
            into = ddl.rows_table(self._database, table)
            self._server.insert(into, marked.slice(start, _MOST_ROWS).replace_schema_metadata(None))
        return int(rows.num_rows)

    def check(self, parts: Sequence[Part]) -> list[int]:
        """See that all rows are there, once; return other batches that have rows of these ledgers."""
        asked = " UNION ALL ".join(
            f"SELECT {ddl.quoted(part.table)} AS name, {ddl.BATCH} AS batch, count() AS rows"
            f" FROM {ddl.rows_table(self._database, part.table)} WHERE {within(part.ledgers)} GROUP BY batch"
            for part in parts
        )
        found = {(text(row["name"]), row["batch"]): row["rows"] for row in self._server.rows(asked)}
        for part in parts:
            counted = found.get((part.table, part.batch), 0)
            if counted != part.rows:
                raise SinkUnavailable(
                    f"{self._server.address} has {counted} rows of {part.rows} that were written to"
                    f" {ddl.rows_name(part.table)}: writing them again"
                )
        return sorted({batch for _, batch in found} - {part.batch for part in parts})

    def remove(self, parts: Sequence[Part], batches: Iterable[int]) -> None:
        """Remove rows of batches that never count. Where that fails they stay, and no view shows them."""
        if not (named := ", ".join(map(str, batches))):
            return
        try:
            for part in parts:
                self._server.do(
                    f"DELETE FROM {ddl.rows_table(self._database, part.table)}"
                    f" WHERE {within(part.ledgers)} AND {ddl.BATCH} IN ({named})"
                )
        except StellarrowError as error:
            _log.info("rows that do not count stay in %s: %s", self._server.address, error)

    def sweep(self, table: str, covered: LedgerSet) -> int:
        """Remove the rows of batches that came second to what is covered; return how many.

        A batch that is not committed, and has a row of a ledger that is covered, never will be.
        """
        rows, ranges, dead = ddl.rows_table(self._database, table), covered.ranges, dict[int, int]()
        for start in range(0, len(ranges), _MOST_RANGES):
            part = LedgerSet(ranges[start : start + _MOST_RANGES])
            for row in self._server.rows(
                f"SELECT {ddl.BATCH} AS batch, count() AS rows FROM {rows} WHERE {within(part)}"
                f" AND NOT {ddl.committed(self._database, table)} GROUP BY batch"
            ):
                dead[row["batch"]] = dead.get(row["batch"], 0) + row["rows"]
        if dead:
            named = ", ".join(map(str, dead))
            self._server.do(f"DELETE FROM {rows} WHERE {ddl.BATCH} IN ({named})")
        return sum(dead.values())


def within(ledgers: LedgerSet) -> str:
    """Return a condition of these ledgers and no other: rows beside them may be those of a living writer."""
    return "(" + " OR ".join(f"ledger_sequence BETWEEN {one.first} AND {one.end}" for one in ledgers) + ")"


def _within(rows: pa.RecordBatch, part: LedgerSet, whole: LedgerRange) -> pa.RecordBatch:
    if part == LedgerSet([whole]):
        return rows
    ledgers = rows.column("ledger_sequence")
    kept = pa.repeat(pa.scalar(value=False), rows.num_rows)
    for one in part:
        inside = pc.and_(pc.greater_equal(ledgers, one.first), pc.less_equal(ledgers, one.end))
        kept = pc.or_(kept, inside)
    return rows.filter(kept)
