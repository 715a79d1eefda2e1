"""The one order of a table's rows: by ledger, and in a ledger by the table's key.

Files keep rows in other orders than the decoder makes them. Where an answer goes on is a place in this order,
so that it is the same place whether the rows come out of memory or out of files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.tables import keys, table

LEDGER: Final = "ledger_sequence"
_FIRST: Final = 128  # rows: a page has a hundred
_MOST: Final = 1_024  # rows, of what is turned
_BLOCK: Final = 16_384  # rows, whose texts stay near the processor


@cache
def key_of(name: str) -> tuple[str, ...]:
    """Return the columns that rows of a table are in order by."""
    return tuple(keys(str(table(name))))


def in_order(rows: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return rows of whole ledgers in order; what is in order already is not copied."""
    if rows.num_rows < 2:
        return rows
    order = pc.sort_indices(rows, sort_keys=[(column, "ascending") for column in key_of(name)])
    return rows if _ascends(order) else rows.take(order)


def turned(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield rows from the last to the first, some at a time: a page needs few, and each is copied."""
    end, count = rows.num_rows, _FIRST
    while end:
        count = min(end, count)
        yield rows.slice(end - count, count).take(pa.array(range(count - 1, -1, -1), pa.uint32()))
        end -= count
        count = _MOST


def sliced(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield rows few at first, then more: a page needs few."""
    start, count = 0, _FIRST
    while start < rows.num_rows:
        yield rows.slice(start, count)
        start += count
        count = min(_BLOCK, 8 * count)


def blocks(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield rows some at a time, whole ledgers."""
    ledgers = ledgers_of(rows)
    start = 0
    while start < len(ledgers):
        end = min(start + _BLOCK, len(ledgers))
        end = bisect_right(ledgers, ledgers[end - 1], end)
        yield rows.slice(start, end - start)
        start = end


def ledgers_of(rows: pa.RecordBatch) -> memoryview:
    """Return the ledger of each row, without copying."""
    column = rows.column(LEDGER)
    if not len(column):
        return memoryview(b"").cast("I")
    return memoryview(column.buffers()[1]).cast("I")[column.offset : column.offset + len(column)]


def _ascends(order: pa.Array) -> bool:
    return bool(pc.all(pc.greater(order.slice(1), order.slice(0, len(order) - 1))).as_py())
