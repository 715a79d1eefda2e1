"""Arrow into PostgreSQL by binary COPY."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pgpq import ArrowToPostgresBinaryEncoder

from stellarrow.sinks.postgres.layout import Layout

_ROWS_A_MESSAGE: Final = 4_096  # what is encoded at once; more takes memory and is no faster


def copy_rows(
    connection: psycopg.Connection,
    target: str,
    kept: Layout,
    *,
    rows: Sequence[pa.RecordBatch],
    batch: uuid.UUID,
) -> int:
    """Add rows to a table or partition, and return how many."""
    count: int = sum(part.num_rows for part in rows)
    if not count:
        return 0
    storable = [_storable(part, kept, batch) for part in rows]
    columns = ", ".join(f'"{name}"' for name in storable[0].schema.names)
    encoder = ArrowToPostgresBinaryEncoder(storable[0].schema)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {target} ({columns}) FROM STDIN (FORMAT binary)") as copy,
    ):
        copy.write(encoder.write_header())
        for part in storable:
            for start in range(0, part.num_rows, _ROWS_A_MESSAGE):
                copy.write(encoder.write_batch(part.slice(start, _ROWS_A_MESSAGE)))
        copy.write(encoder.finish())
    _complete(connection, target, kept, rows)
    return count


def _storable(rows: pa.RecordBatch, kept: Layout, batch: uuid.UUID) -> pa.RecordBatch:
    """Make rows PostgreSQL can take: no NUL in text, and the batch they came in."""
    for name in kept.free_text.intersection(rows.schema.names):
        rows = _without_nul(rows, name)
    if kept.is_entries:
        same = pa.repeat(pa.scalar(batch.bytes, pa.binary()), rows.num_rows)  # a uuid is 16 bytes on the wire
        rows = rows.append_column("batch_id", same)
    return rows


def _without_nul(rows: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Escape as SEP-51 does the texts that hold a NUL; nearly always there is none."""
    column = rows.column(name)
    texts = column.flatten() if pa.types.is_list(column.type) else column
    if not pc.any(pc.match_substring(texts, "\0")).as_py():
        return rows
    at = rows.schema.get_field_index(name)
    escaped = pa.array(map(_escaped, column.to_pylist()), column.type)
    return rows.set_column(at, rows.schema.field(at), escaped)


def _escaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    if value is None or "\0" not in value:
        return value
    return value.replace("\\", "\\\\").replace("\0", "\\0")


def _complete(
    connection: psycopg.Connection, target: str, kept: Layout, rows: Sequence[pa.RecordBatch]
) -> None:
    """Fill in the amounts of 39 digits, which Arrow's decimal128 leaves null, from their text."""
    for number, text in kept.exact:
        if all(part.column(number).null_count == part.column(text).null_count for part in rows):
            continue
        sequences = [part.column("ledger_sequence") for part in rows if part.num_rows]
        bounds = [min(part[0].as_py() for part in sequences), max(part[-1].as_py() for part in sequences)]
        connection.execute(
            f"UPDATE {target} SET {number} = {text}::numeric WHERE {number} IS NULL AND {text} IS NOT NULL"
            " AND ledger_sequence BETWEEN %s AND %s".encode(),
            bounds,
        )
