"""What JSON lines and CSV share: codecs, values as text and back, pieces of whole ledgers."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.sinks.files.formats import buffered, codec_of
from stellarrow.sinks.files.formats.added import completed, written

ZSTD: Final = "zstd"
_LEVEL: Final = 9  # of what is compressed once, after it was written
_FRAME: Final = 4 << 20  # bytes of text that are compressed at once
_MAGIC: Final = bytes.fromhex("28b52ffd")  # RFC 8878: how a frame of zstd begins
_PACKABLE: Final = ("none", "gzip", "lz4")
_CODECS: Final = {"none": "", "gzip": ".gz", "zstd": ".zst", "lz4": ".lz4", "brotli": ".br"}
_BLOCK: Final = 16_384  # rows whose text stays near the processor


class TextFormat:
    """A format of lines, not compressed unless told; rows stay in the order of the ledgers.

    One that `is_packed` writes what was written before, compressed anew and as far as is worth it.
    """

    name: str
    takes_dictionaries = False
    block: int | None = None

    def __init__(self, codec: str | None, *, suffix: str, told: str, is_packed: bool = False) -> None:
        self.is_packed = is_packed
        suffixes = {name: suffix + behind for name, behind in _CODECS.items()}
        self.codec, self.suffix = codec_of(codec, suffixes, told)
        packed = (suffixes[ZSTD],) if self.codec in _PACKABLE else ()
        self.suffixes = (self.suffix, *packed)
        if self.codec != "none" or is_packed:
            self.block = _BLOCK  # what is compressed at once may show in the bytes

    def sort_by(self, schema: pa.Schema) -> str | None:  # noqa: ARG002  a reader of text reads all of it
        return None

    def facts(self, file: pa.NativeFile) -> dict[str, str]:  # noqa: ARG002  lines have no room for them
        return {}

    def footer(self, file: pa.NativeFile) -> bytes:  # noqa: ARG002  lines are read from first to last
        return b""


def compressing(out: Any, codec: str, *, is_packed: bool = False) -> Any:
    """Return what takes text, in a few large pieces: as it lies where it is not compressed."""
    if is_packed:
        return pa.PythonFile(_Packing(buffered(out)), mode="w")
    return _Plain(out) if codec == "none" else pa.CompressedOutputStream(buffered(out), codec)


class _Plain:
    """Passes text on without a copy, which Arrow's streams make of it."""

    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, text: Any) -> None:
        self._out.write(text)

    def close(self) -> None:
        """The file is closed by whoever opened it."""


def decompressing(file: pa.NativeFile, codec: str) -> Any:
    """Return the text of a file: one that was compressed since it was written begins as no other does."""
    if codec in _PACKABLE:
        begun = file.tell()
        codec = ZSTD if file.read(len(_MAGIC)) == _MAGIC else codec
        file.seek(begun)
    return file if codec == "none" else pa.CompressedInputStream(file, codec)


class _Packing:
    """Compresses text for good: Arrow's own streams know one level, the fastest."""

    closed = False

    def __init__(self, out: Any) -> None:
        self._out = out
        self._codec = pa.Codec(ZSTD, compression_level=_LEVEL)
        self._held = bytearray()
        self._has_begun = False

    def write(self, data: Any) -> int:
        self._held += data
        if len(self._held) >= _FRAME:
            self._pack()
        return len(data)

    def _pack(self) -> None:
        self._out.write(self._codec.compress(bytes(self._held)))
        self._held.clear()
        self._has_begun = True

    def flush(self) -> None:
        """Keep what is too little to compress well."""

    def close(self) -> None:
        if self._held or not self._has_begun:  # no text is a frame, too
            self._pack()
        self._out.close()
        self.closed = True


def chosen(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    """Return the schema of the columns named, of all where none is: text of others is not looked into."""
    if columns is None:
        return schema
    return pa.schema([schema.field(name) for name in columns], schema.metadata)


def valued(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Turn texts back into the values of a schema."""
    held = written(schema, rows.schema.names)
    columns = [typed_value(column, field.type) for column, field in zip(rows.columns, held, strict=True)]
    return completed(pa.RecordBatch.from_arrays(columns, schema=held), schema)


def typed_value(column: pa.Array, meant: pa.DataType) -> pa.Array:
    """Turn values that are text, or hold text, into those of a type."""
    if column.type == meant:
        return column
    mask = column.is_null() if column.null_count else None
    if pa.types.is_struct(meant):
        parts = [typed_value(part, one.type) for part, one in zip(column.flatten(), meant, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=[*meant], mask=mask)
    if pa.types.is_list(meant):
        offsets = pc.subtract(column.offsets, column.offsets[0])
        items = typed_value(column.flatten(), meant.value_type)
        return pa.ListArray.from_arrays(offsets, items, type=meant, mask=mask)
    if pa.types.is_binary(meant) or pa.types.is_fixed_size_binary(meant):
        held = [None if one is None else base64.b64decode(one, validate=True) for one in column.to_pylist()]
        return pa.array(held, meant)
    if pa.types.is_timestamp(meant):
        different = column.dictionary_encode()
        return different.dictionary.cast(meant).take(different.indices)
    return column.cast(meant)


def whole_ledgers(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches in ledger order anew, so that none ends inside a ledger."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        numbers = batch.column("ledger_sequence")
        if numbers.null_count:
            raise ValueError("it has rows of no ledger")
        begins = pc.index(numbers, numbers[-1]).as_py()
        if begins or (held and held[-1].column("ledger_sequence")[-1] != numbers[0]):
            yield _joined([*held, batch.slice(0, begins)])
            held = []
        held.append(batch.slice(begins))
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
