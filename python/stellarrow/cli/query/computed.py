"""What `sql @NAME` answers where NAME is a filter, an aggregate or a projection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from stellarrow.core.named_queries import Catalogue
from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter
from stellarrow.net.redaction import shortened
from stellarrow.scanning import Scan
from stellarrow.sql import compile_sql
from stellarrow.sql.aggregator import Aggregator
from stellarrow.sql.named import AGGREGATE, FILTER, NamedQuery
from stellarrow.sql.saved_queries import queries
from stellarrow.sql.windows import window_named


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

    def answer(self, query: NamedQuery, rows_of: Callable[[str], Scan]) -> pa.RecordBatchReader:
        """Answer a query out of a table's rows."""
        if self.window and query.kind != AGGREGATE:
            raise ConfigError(f"{query.name} is no aggregate: leave --window out")
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
            compute.asked, (compute(rows).select(names) for rows in scan)
        )

    def _aggregated(self, query: NamedQuery, scan: Scan, where: Filter) -> pa.Table:
        aggregator = Aggregator(query.aggregation(scan.schema, scan.schema), window_named(self.window))
        compute = compile_sql(query.table_name, scan.schema, where, whole=scan.schema)
        for rows in scan:
            aggregator.add(compute(rows) if compute else rows)
        return aggregator.answer()
