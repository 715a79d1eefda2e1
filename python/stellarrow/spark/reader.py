"""Who reads a table's partitions in the processes of a Spark cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from stellarrow.extras import needing
from stellarrow.ledgers import LedgerSet
from stellarrow.scanning.reading import scan
from stellarrow.spark.options import ReadOptions
from stellarrow.spark.partitioning import partitions
from stellarrow.spark.pushdown import Comparison, Term, ledgers_of, narrowed

with needing("Spark", "spark"):
    from pyspark.sql import datasource as spark
    from pyspark.sql.pandas.types import to_arrow_schema


class LedgersPartition(spark.InputPartition):  # type: ignore[misc]  # pyspark need not be installed
    """The ledgers of one partition, as text."""

    def __init__(self, ledgers: str) -> None:
        self.ledgers = ledgers


class TableReader(spark.DataSourceReader):  # type: ignore[misc]  # pyspark need not be installed
    """Reads columns of a table, partition after partition, each like any other `sa.scan`."""

    def __init__(self, options: ReadOptions, columns: Any, *, stored: bool) -> None:
        self._options = options
        self._columns = columns
        self._stored = stored
        self._where = options.filter()
        self._bounds: list[LedgerSet] = []

    def partitions(self) -> Sequence[spark.InputPartition]:
        """Cut the ledgers that the query needs; each process of the cluster reads some of them."""
        return [LedgersPartition(str(part)) for part in partitions(self._options, self._narrowed)]

    def read(self, partition: spark.InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a partition's rows; Spark hands over None where there is nothing to read."""
        if partition is None:
            return
        target = to_arrow_schema(self._columns)
        rows = scan(
            self._options.path,
            **self._options.scanned(),
            ledgers=partition.ledgers,
            where=self._where,
            columns=self._options.named_columns() or target.names,
            workers=1,
        )
        for batch in rows:
            yield batch.select(target.names).cast(target)

    def _narrowed(self, ledgers: LedgerSet) -> LedgerSet:
        for bounds in self._bounds:
            ledgers &= bounds
        return ledgers


class PushingReader(TableReader):
    """A reader that conditions of the query are told to."""

    def pushFilters(self, filters: list[spark.Filter]) -> Iterable[spark.Filter]:  # noqa: N802  Spark's name
        """Take what conditions say of ledgers and rows; return those that Spark has to ask again."""
        terms = {id(one): term for one in filters if (term := _term(one))}
        where = replace(self._where)
        self._where = narrowed(where, [*terms.values()], self._columns.names, stored=self._stored)
        left = []
        for one in filters:
            term = terms.get(id(one))
            bounds = ledgers_of(term) if term else None
            if bounds is None:
                left.append(one)
            else:
                self._bounds.append(bounds)
        return left


def _term(one: spark.Filter) -> Term | None:
    """Return a condition of Spark's as a term; None where it is of a kind that nothing is made of."""
    if isinstance(one, spark.Not):
        inner = _term(one.child)
        is_flag = inner and inner.comparison == "=" and list(inner.values) == [True]
        return Term(inner.column, "=", [False]) if inner and is_flag else None
    kinds: list[tuple[Any, Comparison]] = [
        (spark.EqualTo, "="),
        (spark.EqualNullSafe, "="),
        (spark.LessThan, "<"),
        (spark.LessThanOrEqual, "<="),
        (spark.GreaterThan, ">"),
        (spark.GreaterThanOrEqual, ">="),
    ]
    for kind, comparison in kinds:
        if isinstance(one, kind):
            return _compared(one.attribute, comparison, [one.value])
    if isinstance(one, spark.In):
        return _compared(one.attribute, "=", one.value)
    return _compared(one.attribute, "is not null", []) if isinstance(one, spark.IsNotNull) else None


def _compared(path: Sequence[str], comparison: Comparison, values: Iterable[Any]) -> Term | None:
    return Term(path[0], comparison, tuple(values)) if len(path) == 1 else None
