"""Rows as the bytes of an answer, written straight from Arrow: JSON, JSON lines, CSV, Arrow, Parquet."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from stellarrow.sinks.files.formats.csv import Csv
from stellarrow.sinks.files.formats.jsonl import lines_of

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
TEXTS: Final = ("json", "ndjson", "csv")  # which dictionaries are written into as what they hold
# Names of content codings, and what Arrow calls them; the first is preferred. To a stream Arrow writes brotli
# at level 8, which takes nine times as long as gzip at level 1.
CODINGS: Final[Mapping[str, str]] = {"zstd": "zstd", "gzip": "gzip", "br": "brotli"}
_BLOCK: Final = 16_384  # rows whose text stays near the processor
_END_OF_STREAM: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_STREAM_LEVEL: Final = 1  # of gzip: a tenth larger than at level 6, in half the time
_GZIP_BITS: Final = 31  # a window of 32 KiB, and gzip's header
_LEVELS: Final = {"zstd": 3, "br": 4, "gzip": 5}

Block = bytes | memoryview


class Writer(Protocol):
    """Turns batches into bytes, which it writes to what it was made with."""

    def write(self, rows: pa.RecordBatch) -> None:
        """Write rows."""

    def close(self) -> None:
        """Write what ends the answer."""


class Bytes:
    """A file to write to, whose bytes are taken as they come."""

    closed = False

    def __init__(self) -> None:
        self._held: list[Block] = []

    def write(self, data: Any) -> int:
        # What is no view of its own may be of memory that is used again.
        held = data if isinstance(data, memoryview) else bytes(data)
        self._held.append(held)
        return len(held)

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def close(self) -> None:
        """Do nothing: what was written is still to be taken."""

    def taken(self) -> Block:
        """Return what came since the last time."""
        held, self._held = self._held, []
        return held[0] if len(held) == 1 else b"".join(held)


def json_rows(batches: Iterable[pa.RecordBatch]) -> bytes:
    """Return rows as JSON objects with commas between."""
    return b"".join(lines_of(one, end=",").to_pybytes() for one in batches if one.num_rows)[:-1]


def json_page(
    batches: Iterable[pa.RecordBatch],
    as_of: int,
    following: str | None,
    *,
    since: int | None = None,
    gaps: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Return a page of rows."""
    told: dict[str, Any] = {"next_cursor": following, "as_of_ledger": as_of}
    if since is not None:
        told["since_ledger"] = since
    if gaps:
        told["gaps"] = gaps
    rest = json.dumps(told, separators=(",", ":"))
    return b'{"rows":[' + json_rows(batches) + b"]," + rest.encode()[1:]


def written(
    format_name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], coding: str | None
) -> Iterator[Block]:
    """Yield the bytes of an answer as they are made; what goes wrong on the way leaves it without its end."""
    out = Bytes()
    packed = _packing(out, coding) if coding else None
    writer = _WRITERS[format_name](packed or out, schema)
    for rows in batches:
        for start in range(0, rows.num_rows, _BLOCK):
            writer.write(rows.slice(start, _BLOCK))
            if data := out.taken():
                yield data
    writer.close()
    if packed:
        packed.close()
    yield out.taken()


def compressed(data: bytes, coding: str) -> bytes:
    """Return an answer in a content coding."""
    codec = pa.Codec(CODINGS[coding], compression_level=_LEVELS[coding])
    packed: bytes = codec.compress(data, asbytes=True)
    return packed


def _packing(out: Bytes, coding: str) -> Any:
    """Return a file that packs what is written to it, as it comes; Arrow's gzip would be at level 9."""
    if coding == "gzip":
        return _Gzip(out)
    return pa.CompressedOutputStream(pa.PythonFile(out, mode="w"), CODINGS[coding])


class _Gzip:
    closed = False

    def __init__(self, out: Bytes) -> None:
        self._out = out
        self._packing = zlib.compressobj(_STREAM_LEVEL, wbits=_GZIP_BITS)

    def write(self, data: Any) -> int:
        if packed := self._packing.compress(data):
            self._out.write(packed)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what is kept back comes with the end."""

    def close(self) -> None:
        self._out.write(self._packing.flush())


class _Lines:
    def __init__(self, out: Any, schema: pa.Schema) -> None:  # noqa: ARG002  rows tell theirs
        self._out = out

    def write(self, rows: pa.RecordBatch) -> None:
        self._out.write(lines_of(rows))

    def close(self) -> None:
        """Do nothing: lines end themselves."""


class _Csv:
    def __init__(self, out: Any, schema: pa.Schema) -> None:
        self._writing = Csv().begin(_Open(out), schema)

    def write(self, rows: pa.RecordBatch) -> None:
        self._writing.write(rows)

    def close(self) -> None:
        self._writing.close({})


class _Open:
    """A file that stays open when its writer is closed."""

    closed = False

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, data: Any) -> int:
        self._out.write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def close(self) -> None:
        """Do nothing: what it writes to has more to write."""


class _Arrow:
    """Arrow's messages, each made at once: a writer of streams would hand over every column by itself."""

    def __init__(self, out: Any, schema: pa.Schema) -> None:
        self._out = out
        self._out.write(memoryview(schema.serialize()))

    def write(self, rows: pa.RecordBatch) -> None:
        self._out.write(memoryview(rows.serialize()))

    def close(self) -> None:
        self._out.write(_END_OF_STREAM)


class _Parquet:
    def __init__(self, out: Any, schema: pa.Schema) -> None:
        file = pa.PythonFile(_Open(out), mode="w")
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)

    def write(self, rows: pa.RecordBatch) -> None:
        self._writer.write_batch(rows)

    def close(self) -> None:
        self._writer.close()


_WRITERS: Final[Mapping[str, Callable[[Any, pa.Schema], Writer]]] = {
    "ndjson": _Lines,
    "csv": _Csv,
    "arrow": _Arrow,
    "parquet": _Parquet,
}
