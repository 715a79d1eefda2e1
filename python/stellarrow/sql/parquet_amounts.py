"""Whole numbers of a query as Parquet can keep them: decimals of 38 digits, where an i128 may have 39.

DuckDB calls its 128-bit integers decimals of 38 digits, whatever they hold. Decimals of 39 digits would be
exact, but polars, Spark and others refuse them, and DuckDB reads them as floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.sql.whole_amounts import AMOUNTS

_INTEGER: Final = pa.decimal128(38, 0)
_WIDER: Final = pa.decimal256(39, 0)
_WIDEST: Final = pa.scalar(Decimal(10**38 - 1), _WIDER)


def kept(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose numbers all have the digits of their types; ConfigError where one would be lost."""
    names = rows.schema.names
    columns = [_kept(column, name, names) for column, name in zip(rows.columns, names, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _kept(column: pa.Array, name: str, names: Sequence[str]) -> pa.Array:
    if pa.types.is_nested(column.type):
        _prove(name, column)
    if column.type != _INTEGER:
        return column
    too_wide = pc.greater(pc.abs(column.cast(_WIDER)), _WIDEST)
    if not pc.any(too_wide).as_py():
        return column
    if AMOUNTS.get(name) not in names:
        raise _refused(name)
    # With the text beside that has it whole, it is null, as extract writes it.
    return pc.if_else(too_wide, pa.scalar(None, _INTEGER), column)


def _prove(name: str, column: pa.Array) -> None:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise _refused(name) from error


def _refused(name: str) -> ConfigError:
    return ConfigError(
        f"{name} has a number of 39 digits, and Parquet's decimals have 38: write .csv or .jsonl, which have"
        f' it whole, or select it as text: "{name}"::varchar'
    )
