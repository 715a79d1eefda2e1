"""Rows as text, written by the core: objects of JSON, lines of CSV."""

from __future__ import annotations

import pyarrow as pa

from stellarrow import _core


def json_text(rows: pa.RecordBatch, *, end: str) -> pa.Buffer | None:
    """Return an object a row with `end` behind each; None where no table has columns of such types.

    Decimals and 64-bit integers are strings, times ISO 8601; what has no value is null.
    """
    text = _core.json_text(rows, end)
    return None if text is None else pa.py_buffer(text)


def csv_text(rows: pa.RecordBatch) -> pa.Buffer | None:
    """Return a line a row, without a header: text in quotes, lists as JSON; None as of json_text()."""
    text = _core.csv_text(rows)
    return None if text is None else pa.py_buffer(text)
