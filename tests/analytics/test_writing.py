"""Answers are written as the libraries write them whose formats they are."""

from __future__ import annotations

import gzip
import zlib

import pyarrow as pa
from pyarrow import ipc

from stellarrow.servers.analytics_http.negotiation import coding_of
from stellarrow.servers.analytics_http.writing import written


def test_arrow_is_written_as_arrow_writes_it() -> None:
    rows = pa.RecordBatch.from_pydict({"a": [1, None, 3], "b": ["x", "", None], "c": [[1], [], None]})
    batches = [rows, rows.slice(1), rows.slice(0, 0)]
    out = pa.BufferOutputStream()
    with ipc.new_stream(out, rows.schema) as writer:
        for one in batches[:2]:
            writer.write_batch(one)
    assert b"".join(written("arrow", rows.schema, iter(batches), None)) == out.getvalue().to_pybytes()


def test_a_stream_that_gzip_packs_comes_as_it_is_made_and_at_the_fastest_level() -> None:
    rows = pa.RecordBatch.from_pydict({"a": [f"{at * 7919 % 10007}" for at in range(40_000)]})
    plain = b"".join(written("ndjson", rows.schema, iter([rows]), None))
    blocks = [bytes(one) for one in written("ndjson", rows.schema, iter([rows]), "gzip")]
    assert len(blocks) > 2
    assert gzip.decompress(b"".join(blocks)) == plain
    fastest = zlib.compressobj(1, wbits=31)
    assert len(b"".join(blocks)) == len(fastest.compress(plain) + fastest.flush())


def test_of_codings_that_are_liked_alike_the_cheapest_is_taken() -> None:
    assert coding_of("gzip, deflate, br, zstd") == "zstd"
    assert coding_of("gzip, deflate, br") == "gzip"
    assert coding_of("gzip;q=0.5, br") == "br"
