"""What columns become in open formats, which have neither every type nor every name."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from stellarrow.core.typed_columns import united
from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.files.signed import signed
from stellarrow.sinks.transactional.stored_columns import StoredColumns

_SECONDS: Final = pa.timestamp("s", "UTC")


def stored_columns(schema: pa.Schema, *, is_typed: bool) -> StoredColumns:
    """Return a table's columns as it has them, whoever reads it; a contract's own ones where it is typed."""
    return StoredColumns.typed(schema, _open) if is_typed else StoredColumns(schema, signed(schema))


def grown_columns(where: str, held: pa.Schema | None, own: StoredColumns) -> StoredColumns:
    """Return the columns of a contract's table with a writer's; a SchemaMismatch where they do not fit."""
    if held is None:
        return own
    whole = stored_columns(united([held, own.known]), is_typed=True)
    if not own.agrees(whole):
        raise SchemaMismatch(
            f"{where} has columns whose names differ from new ones in their case alone, written by two that"
            " did not know of each other: run this again, or extract one of them to another place"
        )
    return whole


def _open(kind: pa.DataType) -> pa.DataType:
    """Return a type that all readers have."""
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if kind == _SECONDS:
        return pa.timestamp("us", "UTC")
    return signed(pa.schema([("", kind)])).field(0).type
