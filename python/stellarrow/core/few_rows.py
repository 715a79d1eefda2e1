"""A few rows of a Parquet row group, without decoding the others: found and read by the core."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from stellarrow import _core

# Where a column lies in the bytes, how many it has, its physical type, a value's length, whether it is
# nullable, and its codec; None where the file has no such column.
Chunk = tuple[int, int, str, int, bool, str] | None
# Every term must hold, and does where all texts of one of its alternatives are in a row, each in one of some
# columns, which are named by their places.
Terms = Sequence[Sequence[Sequence[tuple[Sequence[int], str]]]]


def few_rows(
    data: pa.UInt8Array, schema: pa.Schema, chunks: Sequence[Chunk], rows: int, terms: Terms, *, most: int
) -> pa.RecordBatch | None:
    """Return the rows that the terms are true of; None where they are more, or Arrow has to read them."""
    found = _core.few_rows(data, schema, chunks, rows, terms, most)
    return None if found is None else pa.record_batch(found)
