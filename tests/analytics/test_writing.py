"""Answers are written as the libraries write them whose formats they are."""

from __future__ import annotations

import pyarrow as pa
from pyarrow import ipc

from stellarrow.servers.analytics_http.writing import written


def test_arrow_is_written_as_arrow_writes_it() -> None:
    rows = pa.RecordBatch.from_pydict({"a": [1, None, 3], "b": ["x", "", None], "c": [[1], [], None]})
    batches = [rows, rows.slice(1), rows.slice(0, 0)]
    out = pa.BufferOutputStream()
    with ipc.new_stream(out, rows.schema) as writer:
        for one in batches[:2]:
            writer.write_batch(one)
    assert b"".join(written("arrow", rows.schema, iter(batches), None)) == out.getvalue().to_pybytes()
