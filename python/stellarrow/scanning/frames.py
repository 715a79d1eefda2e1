"""Rows for libraries of data frames that ask in their own ways."""

from __future__ import annotations

from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stellarrow.extras import needing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    from duckdb import DuckDBPyConnection, DuckDBPyRelation


def to_pandas(rows: pa.Table, **options: Any) -> pd.DataFrame:
    """Make a pandas DataFrame; whole numbers among nulls stay whole, as objects, unless options say else."""
    with needing("to_pandas", "dataframes"):
        import pandas  # noqa: F401, PLC0415  asked whether it is there
    frame: pd.DataFrame = rows.to_pandas(**{"integer_object_nulls": True, **options})
    return frame


def to_polars(rows: pa.Table) -> pl.DataFrame:
    """Make a polars DataFrame."""
    with needing("to_polars", "dataframes"):
        import polars  # noqa: PLC0415  an extra
    frame = polars.from_arrow(rows)
    return frame if isinstance(frame, polars.DataFrame) else frame.to_frame()


def to_duckdb(rows: Any, connection: DuckDBPyConnection | None) -> DuckDBPyRelation:
    """Make a DuckDB relation of what exports an Arrow stream, in a connection or the default one."""
    with needing("to_duckdb", "sql"):
        import duckdb  # noqa: PLC0415  an extra
    return (connection or duckdb.default_connection()).from_arrow(rows)


def row_objects(rows: pa.Table) -> np.ndarray[Any, Any]:
    """Return an array of rows as dataclasses, which is what pandas' constructor takes with its columns.

    It asks nobody for Arrow, and of an array of numbers it forgets the names. A missing whole number is
    pandas.NA where pandas asks, because beside None it would make rounded floats of the others.
    """
    with needing("an array of rows", "dataframes"):
        import numpy  # noqa: PLC0415  an extra
        import pandas  # noqa: PLC0415  an extra
    row = make_dataclass("Row", [f"column_{number}" for number in range(len(rows.schema))])
    for field, name in zip(fields(row), rows.schema.names, strict=True):
        field.name = name  # which need not be one that Python's syntax allows
    whole = [column.name for column in rows.schema if pa.types.is_integer(column.type)]
    made = numpy.empty(len(rows), dtype=object)
    for at, values in enumerate(rows.to_pylist()):
        values.update({name: pandas.NA for name in whole if values[name] is None})
        one: Any = object.__new__(row)
        made[at] = one
        one.__dict__.update(values)
    return made
