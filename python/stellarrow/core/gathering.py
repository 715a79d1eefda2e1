"""Rows of many batches, put in another order by the core; no value is copied but in and out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from stellarrow import _core


def text_size(rows: pa.RecordBatch) -> int:
    """Return how many bytes of text rows hold, those of dictionaries as often as rows have them."""
    return _core.text_size(rows)


class Gathered:
    """Rows of batches, in the order they are kept in until `arranged`."""

    def __init__(self, schema: pa.Schema, rows: _core.Gathered) -> None:
        self.schema = schema
        self.num_rows = len(rows)
        self._rows = rows

    def batch(self, names: list[str] | None = None) -> pa.RecordBatch:
        """Return all rows as they are kept, of all columns or some."""
        return pa.record_batch(self._rows.order().block(0, self.num_rows, names))

    def arranged(
        self, sort_by: str | None, places: pa.Array | None, block: int
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield each row's place, and rows of it, so many at once: by place, then sorted by a column.

        Ties stay in order. What has no value in the column comes last. A block's dictionaries hold what its
        rows need.
        """
        held = None if places is None else pa.record_batch([places.cast(pa.uint32())], ["place"])
        order = self._rows.order(sort_by, held)
        start = 0
        for place, end in enumerate(order.ends):
            for at in range(start, end, block):
                yield place, pa.record_batch(order.block(at, min(at + block, end)))
            start = end


class Gatherer:
    """Takes batches in. Where its schema has dictionaries of texts, the batches may have plain ones.

    Where the column is named by which rows will be sorted, those of a batch that are alike in it are kept
    together: they are `arranged` sooner, and `batch` has them so.
    """

    def __init__(self, schema: pa.Schema, *, sort_by: str | None = None) -> None:
        self.schema = schema
        self._rows = _core.Gatherer(schema, sort_by)

    def append(self, rows: pa.RecordBatch) -> None:
        """Take in rows, of which nothing is referred to afterwards."""
        self._rows.append(rows)

    def fit(self, rows: Any, *, count: int, text: int) -> int | None:
        """Take in rows that are fewer, and of less text, than that; return how many bytes of text they have.

        Rows of the core are taken as they are, others through Arrow's capsules.
        None where they are not: then none is taken.
        """
        return self._rows.fit(rows, max(0, count), max(0, text))

    def take(self) -> Gathered:
        """Hand over all rows, and begin anew."""
        return Gathered(self.schema, self._rows.take())
