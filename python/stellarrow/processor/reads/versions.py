"""Versions of a table that sessions need not keep: their rows are columns of the newest one's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.rows import numbers_of
from stellarrow.core.tables import is_typed, schema, table

_INT64: Final = (-(2**63), 2**63 - 1)


def newest(name: str) -> str:
    """Return a table's newest version, as `name@version`."""
    return str(table(table(name).name))


def converter(name: str) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return what makes a version's rows out of the newest one's, without copying columns that are alike."""
    wanted = schema(name)
    if is_typed(name):
        return lambda rows: _completed(rows, wanted)
    if str(table(name)) == newest(name):
        return lambda rows: rows

    def convert(rows: pa.RecordBatch) -> pa.RecordBatch:
        columns = [_as_type(rows.column(field.name), field.type) for field in wanted]
        return pa.RecordBatch.from_arrays(columns, schema=wanted)

    return convert


def _completed(rows: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    """Give rows of a session that began earlier the columns that contracts got since."""
    held = {*rows.schema.names}
    columns = [
        rows.column(field.name) if field.name in held else pa.nulls(rows.num_rows, field.type)
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _as_type(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Return a column of exact integers in a narrower type, null where one does not fit."""
    if column.type == wanted:
        return column
    lowest, highest = numbers_of(_INT64).cast(column.type)
    fits = pc.and_(pc.greater_equal(column, lowest), pc.less_equal(column, highest))
    return pc.if_else(fits, column, pa.nulls(1, column.type)[0]).cast(wanted)
