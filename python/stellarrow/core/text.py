"""Rows as text, written by the core: objects of JSON, lines of CSV."""

from __future__ import annotations

import pyarrow as pa

from stellarrow import _core


def json_text(rows: pa.RecordBatch, *, end: str) -> bytes | None:
    """Return an object a row with `end` behind each; None where no table has columns of such types.

    Decimals and 64-bit integers are strings, times ISO 8601; what has no value is null.
    """
    return _core.json_text(rows, end)


def csv_text(rows: pa.RecordBatch) -> bytes | None:
    """Return a line a row, without a header: text in quotes, lists as JSON; None as of json_text()."""
    return _core.csv_text(rows)
