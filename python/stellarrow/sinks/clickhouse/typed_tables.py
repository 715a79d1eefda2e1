"""Contracts' own tables in a database: what ClickHouse makes of their columns, and how these become more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.tables import written
from stellarrow.core.typed_columns import own_columns, united
from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.clickhouse import ddl
from stellarrow.sinks.transactional.stored_columns import StoredColumns

_LATEST: Final = datetime(2299, 12, 31, 23, 59, 59, tzinfo=UTC)  # of DateTime64


def stored_columns(schema: pa.Schema) -> StoredColumns:
    """Return the columns of a contract's table and what they are here: no list and no struct may be null."""
    return StoredColumns.typed(schema, _kept, hides="_", has_nested=False)


def _kept(kind: pa.DataType) -> pa.DataType:
    return pa.binary() if pa.types.is_fixed_size_binary(kind) else kind


def grown_columns(name: str, held: pa.Schema | None, own: pa.Schema) -> StoredColumns:
    """Return the columns that a table has with a writer's; a SchemaMismatch where they do not fit."""
    if held is None:
        return stored_columns(own)
    whole = stored_columns(united([held, own]))
    if not stored_columns(own).agrees(whole):
        raise SchemaMismatch(
            f"{ddl.view_name(name)} has columns whose names differ from new ones in their case alone, written"
            " by two that did not know of each other: run this again, or name another database"
        )
    return whole


def news(held: pa.Schema | None, whole: StoredColumns) -> pa.Schema | None:
    """Return the columns that a commit has to tell of; None where they are known."""
    return None if held is not None and written(held) == written(whole.known) else whole.known


def put(rows: pa.RecordBatch, own: StoredColumns) -> pa.RecordBatch:
    """Make of rows what the server takes: times that it does not know are null, beside their seconds."""
    for field in own_columns(rows.schema):
        if pa.types.is_timestamp(field.type):
            at = rows.schema.get_field_index(field.name)
            column = rows.column(at)
            latest = pa.scalar(_LATEST, field.type)
            kept = pc.if_else(pc.less_equal(column, latest), column, pa.scalar(None, field.type))
            rows = rows.set_column(at, rows.schema.field(at), kept)
    return own.put(rows)
