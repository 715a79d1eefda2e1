"""Rows of a table, which lie in ledger order."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange

_UINT32: Final = 32  # bits; files may have signed ones, of 64


def imported(rows: Any) -> pa.RecordBatch:
    """Return rows of the core as pyarrow's; those that are stay as they are."""
    return rows if isinstance(rows, pa.RecordBatch) else pa.record_batch(rows)


def between(rows: pa.RecordBatch, ledgers: LedgerRange) -> pa.RecordBatch:
    """Slice the rows of the ledgers, without copying; rows lie in ledger order."""
    column = rows.column("ledger_sequence")
    if not len(column):
        return rows
    whole = memoryview(column.buffers()[1]).cast("I" if column.type.bit_width == _UINT32 else "Q")
    numbers = whole[column.offset : column.offset + len(column)]
    start = bisect_left(numbers, ledgers.first)
    stop = bisect_left(numbers, ledgers.end + 1, lo=start)
    return rows.slice(start, stop - start)


def texts_of(values: Iterable[str | None]) -> pa.Array:
    """Return an array of texts; `pa.array` and `pa.scalar` import pandas where it is installed (0.3 s)."""
    held = [None if value is None else value.encode() for value in values]
    ends = accumulate((len(value or b"") for value in held), initial=0)
    buffers = [_validity(held), pa.py_buffer(array("i", ends)), pa.py_buffer(b"".join(filter(None, held)))]
    return pa.Array.from_buffers(pa.string(), len(held), buffers)


def numbers_of(values: Iterable[int | None]) -> pa.Array:
    """Return an array of int64, likewise."""
    held = [*values]
    numbers = array("q", (value or 0 for value in held))
    return pa.Array.from_buffers(pa.int64(), len(held), [_validity(held), pa.py_buffer(numbers)])


def _validity(values: Sequence[object]) -> pa.Buffer | None:
    """Return the bits that tell which values are there, the lowest first; None where all are."""
    if None not in values:
        return None
    bits = sum(1 << place for place, value in enumerate(values) if value is not None)
    return pa.py_buffer(bits.to_bytes(-(-len(values) // 8), "little"))


def no_rows(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch without rows; pyarrow's own ways to one import pandas where it is installed (0.3 s)."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def chosen_columns(schema: pa.Schema, names: Sequence[str], where: object) -> pa.Schema:
    """Return the schema of some columns of a table; SinkError where it was extracted without one of them."""
    if absent := [name for name in names if name not in schema.names]:
        raise SinkError(
            f"{where} was extracted without {', '.join(absent)}, which this needs: extract it into another"
            f" place with {'that column' if len(absent) == 1 else 'those columns'}"
        )
    return pa.schema([schema.field(name) for name in names], schema.metadata)
