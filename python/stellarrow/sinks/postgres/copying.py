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
    into = f"COPY {target} ({columns}) FROM STDIN"
    encoder = ArrowToPostgresBinaryEncoder(storable[0].schema)
    beyond = []
    with connection.cursor() as cursor, cursor.copy(f"{into} (FORMAT binary)") as copy:
        copy.write(encoder.write_header())
        for part in storable:
            fitting, others = _parted(part, kept)
            beyond += others
            for start in range(0, fitting.num_rows, _ROWS_A_MESSAGE):
                copy.write(encoder.write_batch(fitting.slice(start, _ROWS_A_MESSAGE)))
        copy.write(encoder.finish())
    if beyond:
        _copy_as_text(connection, into, kept, beyond)
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


def _parted(rows: pa.RecordBatch, kept: Layout) -> tuple[pa.RecordBatch, list[dict[str, Any]]]:
    """Set rows apart that have an amount of 39 digits: null as a decimal128, and there as text."""
    beyond = None
    for number, text in kept.exact:
        if rows.column(number).null_count != rows.column(text).null_count:
            these = pc.and_(pc.is_null(rows.column(number)), pc.is_valid(rows.column(text)))
            beyond = these if beyond is None else pc.or_(beyond, these)
    if beyond is None:
        return rows, []
    return rows.filter(pc.invert(beyond)), rows.filter(beyond).to_pylist()


def _copy_as_text(
    connection: psycopg.Connection, into: str, kept: Layout, rows: Sequence[dict[str, Any]]
) -> None:
    """Add rows whose amounts are given as text, exactly."""
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows:
            exact = {number: row[text] for number, text in kept.exact}
            told = {"batch_id": uuid.UUID(bytes=row["batch_id"])} if kept.is_entries else {}
            copy.write_row([*(row | exact | told).values()])
