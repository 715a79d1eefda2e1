"""Which texts some columns hold, in fourteen bits each: made and asked by the core."""

from __future__ import annotations

import pyarrow as pa

from stellarrow import _core


def text_filter(rows: pa.RecordBatch) -> bytes | None:
    """Return a Bloom filter of every text in a batch; None where a column is no text."""
    return _core.text_filter(rows)


def may_hold(filter: bytes, text: str) -> bool:
    """Tell whether a text may be among those a filter was made of; one in three hundred others may, too."""
    return _core.may_hold(filter, text)
