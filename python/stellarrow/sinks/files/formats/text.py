"""What JSON lines and CSV share: codecs, values as text and back, pieces of whole ledgers."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.sinks.files.formats import buffered, codec_of
from stellarrow.sinks.files.formats.added import completed, written

_CODECS: Final = {"none": "", "gzip": ".gz", "zstd": ".zst", "lz4": ".lz4", "brotli": ".br"}
_BLOCK: Final = 16_384  # rows whose text stays near the processor


class TextFormat:
    """A format of lines, not compressed unless told; rows stay in the order of the ledgers."""

    name: str
    block: int | None = None

    def __init__(self, codec: str | None, *, suffix: str, told: str) -> None:
        suffixes = {name: suffix + behind for name, behind in _CODECS.items()}
        self.codec, self.suffix = codec_of(codec, suffixes, told)
        if self.codec != "none":
            self.block = _BLOCK  # what is compressed at once may show in the bytes

    def sort_by(self, schema: pa.Schema) -> str | None:  # noqa: ARG002  a reader of text reads all of it
        return None

    def facts(self, file: pa.NativeFile) -> dict[str, str]:  # noqa: ARG002  lines have no room for them
        return {}

    def footer(self, file: pa.NativeFile) -> bytes:  # noqa: ARG002  lines are read from first to last
        return b""


def compressing(out: Any, codec: str) -> Any:
    """Return what takes text, in a few large pieces: as it lies where it is not compressed."""
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
    return file if codec == "none" else pa.CompressedInputStream(file, codec)


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
