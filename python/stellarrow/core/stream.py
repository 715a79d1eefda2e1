"""Record batches as an Arrow C stream."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from stellarrow import _core


def stream(schema: pa.Schema, batches: Iterator[pa.RecordBatch], requested: object | None) -> object:
    """Return batches as an Arrow C stream; what goes wrong is told to its reader by the message alone."""
    return _core.stream(schema, batches).__arrow_c_stream__(requested)
