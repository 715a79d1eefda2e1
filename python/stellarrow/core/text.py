"""Rows as text, written by the core: objects of JSON, lines of CSV."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

try:
    from stellarrow._core import csv_text as _csv_text
    from stellarrow._core import json_text as _json_text
except ImportError:  # the core in place was built before it wrote text: Arrow's kernels write it then

    def _json_text(batch: Any, end: str) -> bytes | None:  # noqa: ARG001  the core's
        return None

    def _csv_text(batch: Any) -> bytes | None:  # noqa: ARG001  the core's
        return None


def json_text(rows: pa.RecordBatch, *, end: str) -> bytes | None:
    """Return an object a row with `end` behind each; None where no table has columns of such types.

    Decimals and 64-bit integers are strings, times ISO 8601; what has no value is null.
    """
    return _json_text(rows, end)


def csv_text(rows: pa.RecordBatch) -> bytes | None:
    """Return a line a row, without a header: text in quotes, lists as JSON; None as of json_text()."""
    return _csv_text(rows)
