"""What becomes of a table's batches in flight: rows kept, columns made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.sql.compiler import Value, compiled
from stellarrow.sql.parsing import Condition, parse_columns, parse_condition, shown
from stellarrow.sql.projection import Column, column, projected
from stellarrow.sql.pushdown import pushed

_LEDGER = "ledger_sequence"


@dataclass(frozen=True, slots=True)
class Computation:
    """What becomes of a table's batches: `schema` is what comes out, `filter` what the walk drops before.

    `asked` is the schema without a column that nobody asked for, the ledger of each row.
    """

    schema: pa.Schema
    asked: pa.Schema
    filter: Filter
    _condition: Value | None
    _columns: tuple[Column, ...] | None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Keep the rows that fit and make the columns that were asked for, from any thread."""
        try:
            if self._condition is not None and batch.num_rows:
                batch = _kept(batch, self._condition.evaluate(batch))
            if self._columns is None:
                return batch
            arrays = [one.array(batch) for one in self._columns]
        except (pa.ArrowException, ArithmeticError, ValueError) as error:
            ledgers = batch.column(_LEDGER)
            raise ConfigError(
                f"ledgers {ledgers[0]} to {ledgers[-1]} have values that the SQL expression cannot take"
                f" ({error}): leave their rows out, or cast less"
            ) from error
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def computation(table: str, columns: pa.Schema, whole: pa.Schema, where: Filter) -> Computation:
    """Compile what a filter says in SQL for a table; `whole` has the columns on request too, for messages."""
    condition: Condition | None = parse_condition(where.where) if where.where else None
    value = None
    if condition is not None:
        value = compiled(condition, columns, table, whole, whole_amounts=True)
        if value.type != pa.bool_():
            raise ConfigError(
                f"where: {shown(condition)} is {value.type}, not true or false: compare it with something"
            )
    picked: tuple[Column, ...] | None = None
    asked = columns
    if where.select:
        wanted = projected(parse_columns(where.select), columns, table)
        picked = tuple(column(one, columns, table, whole) for one in wanted)
        asked = _schema(picked, columns)
        if _LEDGER not in asked.names:  # without it a sink could not tell which ledger a row is of
            picked = (Column(columns.field(_LEDGER), None), *picked)
    return Computation(
        schema=columns if picked is None else _schema(picked, columns),
        asked=asked,
        filter=pushed(condition, columns, where),
        _condition=value,
        _columns=picked,
    )


def _schema(picked: Sequence[Column], columns: pa.Schema) -> pa.Schema:
    return pa.schema([one.field for one in picked], columns.metadata)


def _kept(batch: pa.RecordBatch, mask: pa.Array | pa.Scalar) -> pa.RecordBatch:
    if isinstance(mask, pa.Scalar):
        mask = pa.repeat(mask, batch.num_rows)
    return batch if mask.true_count == len(mask) else batch.filter(mask)
