"""Arrow into PostgreSQL by binary COPY."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pgpq import ArrowToPostgresBinaryEncoder

from stellarrow.errors import LedgersRefused
from stellarrow.sinks.postgres import typed_names
from stellarrow.sinks.postgres.ddl import Layout

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
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in storable[0].schema.names)
    into = f"COPY {target} ({columns}) FROM STDIN (FORMAT binary)"
    encoder = ArrowToPostgresBinaryEncoder(storable[0].schema)
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.write(encoder.write_header())
        for part in storable:
            for start in range(0, part.num_rows, _ROWS_A_MESSAGE):
                copy.write(encoder.write_batch(part.slice(start, _ROWS_A_MESSAGE)))
        copy.write(encoder.finish())
    return count


def _storable(rows: pa.RecordBatch, kept: Layout, batch: uuid.UUID) -> pa.RecordBatch:
    """Make rows PostgreSQL can take: no NUL in text, all digits of amounts, and the batch they came in."""
    for name in kept.free_text.intersection(rows.schema.names):
        rows = _without_nul(rows, name)
    for number, text in kept.exact:
        rows = _with_all_digits(rows, number, text)
    if kept.is_typed:
        return typed_names.storable(rows)
    if kept.is_entries:
        same = pa.repeat(pa.scalar(batch.bytes, pa.binary()), rows.num_rows)  # a uuid is 16 bytes on the wire
        rows = rows.append_column("batch_id", same)
    return rows


def _without_nul(rows: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Escape by the tables' rule the texts that an earlier release kept with a NUL; mostly there is none."""
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


def _with_all_digits(rows: pa.RecordBatch, number: str, text: str) -> pa.RecordBatch:
    """Fill in the amounts of 39 digits, out of their text; nearly always there is none.

    Arrow's decimal128 promises 38, but an i128 of any size fits in its 16 bytes, and is encoded out of them.
    """
    numbers, texts = rows.column(number), rows.column(text)
    if numbers.null_count == texts.null_count:
        return rows
    width = numbers.type.byte_width
    start = numbers.offset * width
    raw = bytearray(memoryview(numbers.buffers()[1])[start : start + len(numbers) * width])
    given = pc.is_valid(texts)
    for row in pc.indices_nonzero(pc.and_(given, pc.is_null(numbers))).to_pylist():
        try:
            digits = int(texts[row].as_py()).to_bytes(width, "little", signed=True)
        except OverflowError as error:
            raise LedgersRefused(f"{text} is {texts[row]}: PostgreSQL keeps no more than an i128") from error
        raw[row * width : (row + 1) * width] = digits
    filled = pa.Array.from_buffers(numbers.type, len(numbers), [None, pa.py_buffer(raw)])
    at = rows.schema.get_field_index(number)
    return rows.set_column(at, rows.schema.field(at), pc.if_else(given, filled, None))
