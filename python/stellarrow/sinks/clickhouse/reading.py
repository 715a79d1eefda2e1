"""What a database holds, whoever wrote it: its tables, their ledgers, their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import keys, schema
from stellarrow.errors import Damaged
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.clickhouse import ddl, typed_tables
from stellarrow.sinks.clickhouse.commits import Commits, Making, Part
from stellarrow.sinks.clickhouse.server import Server
from stellarrow.sinks.transactional.stored_columns import StoredColumns, order_of

_COUNTED_AT_ONCE: Final = 10_000  # ledgers


@dataclass(frozen=True, slots=True)
class HeldRows:
    """A table in a database."""

    server: Server
    name: str
    making: Making
    ledgers: LedgerSet
    commits: Commits = field(repr=False, compare=False)
    typed: pa.Schema | None = field(default=None, repr=False, compare=False)  # a contract's own columns

    @property
    def version(self) -> str:
        return self.making.schema_version

    @property
    def network(self) -> str:
        return self.making.network

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
        is_own = self.typed is not None
        stored = typed_tables.stored_columns(known) if is_own else StoredColumns(known, known)
        shown = ", ".join(f"`{name}`" for name in stored.names(columns))
        key = order_of(known) if is_own else keys(self.name)
        order = ", ".join(f"`{name}`" for name in key if name in known.names)
        query = (
            f"SELECT {shown} FROM `{self.server.address.database}`.`{ddl.view_name(self.name)}`"
            f" WHERE ledger_sequence BETWEEN {ledgers.first} AND {ledgers.end} ORDER BY {order}"
        )
        for rows in self.server.stream(query):
            yield stored.back(rows, columns)

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count on the server, and compare with how many rows each commit wrote."""
        for part, commits in _grouped(self.commits.parts(self.name), ledgers):
            yield self._counted(part, commits)

    def _counted(self, part: LedgerRange, commits: Sequence[Part]) -> RowCounts:
        rows: Counter[int] = Counter()
        of_batches: Counter[int] = Counter()
        wanted = f"ledger_sequence BETWEEN {part.first} AND {part.end}"
        batches = ", ".join(str(one.batch) for one in commits)
        for row in self.server.rows(
            f"SELECT {ddl.BATCH} AS batch, ledger_sequence AS ledger, count() AS rows"
            f" FROM {ddl.rows_table(self.server.address.database, self.name)}"
            f" WHERE {wanted} AND {ddl.BATCH} IN ({batches}) GROUP BY batch, ledger"
        ):
            rows[row["ledger"]] += row["rows"]
            of_batches[row["batch"]] += row["rows"]
        wrong = LedgerSet()
        for one in commits:
            if of_batches[one.batch] != one.rows:
                wrong |= one.ledgers
        if not wrong:
            return RowCounts(part, dict(rows))
        error = Damaged(
            f"table {self.name} has other rows of ledgers {wrong} than were written: rows were added or"
            " removed by hand; write its ledgers to another database"
        )
        return RowCounts(part, dict(rows), error, wrong)


def _grouped(commits: Sequence[Part], ledgers: LedgerSet) -> Iterator[tuple[LedgerRange, list[Part]]]:
    """Yield ranges with the commits that lie in them, so that no commit lies in two."""
    group: list[Part] = []
    for one in sorted(commits, key=lambda part: part.ledgers.first):
        if not one.ledgers & ledgers:
            continue
        last = max((each.ledgers.last for each in group), default=-1)
        if group and one.ledgers.first > last and last - group[0].ledgers.first >= _COUNTED_AT_ONCE:
            yield LedgerRange(group[0].ledgers.first, last), group
            group = []
        group.append(one)
    if group:
        last = max(each.ledgers.last for each in group)
        yield LedgerRange(group[0].ledgers.first, last), group


def held_tables(server: Server) -> list[HeldRows]:
    """Return the tables of a database, none where nothing was written to it."""
    commits = Commits(server)
    commits.refresh()
    return [
        HeldRows(server, name, making, commits.covered(name), commits, commits.columns.get(name))
        for name in commits.tables
        if (making := commits.making(name))
    ]
