"""What `sql @NAME` answers where NAME is a filter, an aggregate or a projection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from stellarrow.core.named_queries import Catalogue
from stellarrow.core.tables import schema
from stellarrow.errors import ConfigError, SourceError, nearest
from stellarrow.filter import Filter
from stellarrow.net.redaction import shortened
from stellarrow.scanning import Scan
from stellarrow.sql import compile_sql
from stellarrow.sql.named import AGGREGATE, FILTER, NamedQuery
from stellarrow.sql.saved_queries import queries
from stellarrow.sql.whole_amounts import AMOUNTS
from stellarrow.sql.windows import window_named


def _whole(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose amounts have all their digits, as those of DuckDB's integers have."""
    from stellarrow.sql.numbers import whole_amount  # noqa: PLC0415  the extra sql, which who lists does without

    for name, text in AMOUNTS.items():
        if {name, text} <= {*rows.schema.names}:
            at = rows.schema.get_field_index(name)
            made = whole_amount(rows.column(at), rows.column(text))
            made = made.cast(rows.schema.field(at).type, safe=False)
            rows = rows.set_column(at, rows.schema.field(at), made)
    return rows


@dataclass(frozen=True, slots=True)
class Asked:
    """How named queries are to be answered: by which window, of which rows."""

    known: Catalogue
    window: str = ""
    filter: str = ""

    def named(self, text: str) -> NamedQuery | None:
        """Return the query that a text names; None where it is SQL, or a question that ships as SQL."""
        if not text.lstrip().startswith("@"):
            self._require_none()
            return None
        name = text.strip()[1:].rstrip("; \t\n")
        for one in self.known:
            if one.name == name:
                return one
        questions = [one.name for one in queries()]
        if name in questions:
            self._require_none()
            return None
        names = list(dict.fromkeys([*(one.name for one in self.known), *questions]))
        remedy = nearest(name, names, f"there are {', '.join(names)}")
        raise ConfigError(f"there is no query {shortened(name)!r}: {remedy}")

    def _require_none(self) -> None:
        if self.window or self.filter:
            raise ConfigError(
                "--window and --filter are for @NAME of an aggregate or a filter: write SQL else"
            )

    def statement(self, query: NamedQuery, known: Mapping[str, str]) -> str:
        """Write a query for PostgreSQL, which has these tables, each by its name without a schema."""
        from stellarrow.sql.statement import postgres_statement  # noqa: PLC0415  few need it

        self._check(query)
        place = "entries" if query.table_name == "contract_data" else query.table_name
        if place not in known:
            raise SourceError(f"the database has no {query.table_name}, which {query.name} is of")
        where = self.known.find(self.filter, FILTER, query.table) if self.filter else None
        return postgres_statement(
            query, place, schema(query.table), window=window_named(self.window), where=where
        )

    def _check(self, query: NamedQuery) -> None:
        if self.window and query.kind != AGGREGATE:
            raise ConfigError(f"{query.name} is no aggregate: leave --window out")

    def answer(self, query: NamedQuery, rows_of: Callable[[str], Scan]) -> pa.RecordBatchReader:
        """Answer a query out of a table's rows."""
        self._check(query)
        scan = rows_of(query.table)
        where = self.known.filtered(Filter(), self.filter, [scan.table])
        if query.kind == AGGREGATE:
            return self._aggregated(query, scan, where).to_reader()
        if query.kind == FILTER:
            where = self.known.filtered(where, query, [scan.table])
        else:
            where = self.known.projected(where, query, [scan.table])
        compute = compile_sql(query.table_name, scan.schema, where, whole=scan.schema)
        if compute is None:
            return scan.to_reader()
        names = compute.asked.names
        return pa.RecordBatchReader.from_batches(
            compute.asked, (_whole(compute(rows).select(names)) for rows in scan)
        )

    def _aggregated(self, query: NamedQuery, scan: Scan, where: Filter) -> pa.Table:
        from stellarrow.sql.aggregator import Aggregator  # noqa: PLC0415  an extra

        aggregator = Aggregator(query.aggregation(scan.schema, scan.schema), window_named(self.window))
        compute = compile_sql(query.table_name, scan.schema, where, whole=scan.schema)
        for rows in scan:
            aggregator.add(compute(rows) if compute else rows)
        return aggregator.answer()
