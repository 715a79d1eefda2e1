"""What contracts' own tables and columns are called in PostgreSQL, and of which types they are."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import pyarrow as pa

from stellarrow.core.json_values import value
from stellarrow.core.typed_columns import is_declared, own_columns
from stellarrow.core.typed_names import digest_of, short_name

SCHEMA: Final = "typed"
_LONGEST_COLUMN: Final = 63  # bytes: PostgreSQL cuts the rest off


def place_of(name: str) -> str:
    """Return where a table such as `typed:CONTRACT/events/SetAdmin` lies: `typed.cabc…_set_admin`."""
    return f"{SCHEMA}.{short_name(name)}"


def column_name(name: str) -> str:
    """Return what a column is called; one that is too long ends with a digest of its name."""
    if len(name.encode()) <= _LONGEST_COLUMN:
        return name
    digest = digest_of(name)
    kept = name.encode()[: _LONGEST_COLUMN - len(digest) - 1].decode(errors="ignore")
    return f"{kept}_{digest}"


def sql_type(field: pa.Field) -> str:
    """Return PostgreSQL's type of a column that a contract declares."""
    kind = field.type
    if pa.types.is_nested(kind):
        return "json"
    if pa.types.is_string(kind):
        return 'text COLLATE "C"'
    if pa.types.is_decimal(kind):
        return "numeric(39, 0)"
    if pa.types.is_timestamp(kind):
        return "timestamptz"
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "bytea"
    return _TYPES[str(kind)]


_TYPES: Final = {
    "bool": "boolean",
    "uint32": "bigint",
    "int32": "integer",
    "int64": "bigint",
    "uint64": "numeric(20, 0)",
}


def exact_pairs(schema: pa.Schema) -> list[tuple[str, str]]:
    """Return the amounts that a contract declares, each with the text that has all their digits."""
    own = own_columns(schema)
    return [
        (number.name, text.name)
        for number, text in pairwise(own)
        if pa.types.is_decimal(number.type) and text.name.endswith("_text")
    ]


def storable(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Make rows PostgreSQL can take: what has parts as JSON, columns by their names there."""
    columns = [
        value(column, "") if is_declared(field) and pa.types.is_nested(field.type) else column
        for field, column in zip(rows.schema, rows.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, [column_name(name) for name in rows.schema.names])
