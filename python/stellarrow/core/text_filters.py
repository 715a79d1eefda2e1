"""Which texts some columns hold, in fourteen bits each: made and asked by the core."""

from __future__ import annotations

import pyarrow as pa

from stellarrow import _core


class TextFilters:
    """Makes Bloom filters of batches that follow each other; a dictionary that they share is hashed once."""

    def __init__(self) -> None:
        self._made = _core.TextFilters()

    def filter(self, rows: pa.RecordBatch) -> bytes | None:
        """Return a filter of every text in a batch; None where a column is no text."""
        return self._made.filter(rows)


def may_hold(filter: bytes, text: str) -> bool:
    """Tell whether a text may be among those a filter was made of; one in three hundred others may, too."""
    return _core.may_hold(filter, text)
