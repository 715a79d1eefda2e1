"""JSON lines, put together from Arrow's columns: an object a row, with every column, null where it has none.

The core writes what tables have; Arrow's kernels write columns of other types, which a query may answer with.

Decimals and 64-bit integers are strings, exact for readers that know only floats; times are ISO 8601, binary
is base64. Strings that hold JSON stay strings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import unpack_from
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from stellarrow.core.json_values import named, value
from stellarrow.core.text import json_text
from stellarrow.core.typed_columns import is_declared
from stellarrow.sinks.files.dictionaries import without_dictionaries
from stellarrow.sinks.files.formats.text import (
    TextFormat,
    chosen,
    compressing,
    decompressing,
    typed_value,
    valued,
    whole_ledgers,
)

_READ: Final = 16 << 20  # bytes of text at once


class JsonLines(TextFormat):
    """The format JSON lines."""

    name = "jsonl"

    def __init__(self, codec: str | None = None, *, is_packed: bool = False) -> None:
        super().__init__(codec, suffix=".jsonl", told="JSON lines", is_packed=is_packed)

    def begin(self, out: Any, schema: pa.Schema) -> _Writing:  # noqa: ARG002  rows tell theirs
        return _Writing(compressing(out, self.codec, is_packed=self.is_packed))

    def read(
        self, file: pa.NativeFile, schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        asked = chosen(schema, columns)
        texts = pa.schema([pa.field(field.name, _read_as(field.type)) for field in asked])
        parsing = pj.ParseOptions(
            explicit_schema=texts, unexpected_field_behavior="ignore" if columns else "error"
        )
        reading = pj.ReadOptions(use_threads=False, block_size=2 * _READ)

        def batches() -> Iterator[pa.RecordBatch]:
            for lines in _lines(decompressing(file, self.codec)):
                read = pj.read_json(pa.BufferReader(lines), reading, parsing)
                for rows in read.combine_chunks().to_batches():
                    yield valued(rows, asked)

        return whole_ledgers(batches())


class _Writing:
    def __init__(self, out: Any) -> None:
        self._out = out

    def write(self, rows: pa.RecordBatch) -> None:
        self._out.write(lines_of(rows))

    def close(self, facts: Mapping[str, str]) -> None:  # noqa: ARG002  the Protocol has it
        self._out.close()


def lines_of(rows: pa.RecordBatch, *, end: str = "\n") -> pa.Buffer:
    """Return rows as lines of text, or as objects with another `end` behind each."""
    written = json_text(rows, end=end)
    return by_kernels(rows, end=end) if written is None else written


def by_kernels(rows: pa.RecordBatch, *, end: str = "\n") -> pa.Buffer:
    """Join names and values of each row; the joined column's buffer is the text."""
    rows = without_dictionaries(rows)
    parts: list[Any] = []
    for field, column in zip(rows.schema, rows.columns, strict=True):
        # Names of contracts' own columns, and what they hold, may be anything.
        known = "" if is_declared(field) else field.name
        parts += [f"{',' if parts else '{'}{named(field.name)}:", value(column, known)]
    lines = pc.binary_join_element_wise(
        *parts, f"}}{end}", "", null_handling="replace", null_replacement="null"
    )
    _, offsets, text = lines.buffers()
    return text.slice(0, unpack_from("=i", offsets, 4 * len(lines))[0])


def _read_as(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_read_as(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _read_as(field.type)) for field in kind])
    if pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        return kind
    return kind if pa.types.is_integer(kind) and kind.bit_width < 64 else pa.string()


def parsed(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Read values of a type out of JSON, as `value` writes them."""
    lines = pc.binary_join_element_wise('{"value":', texts.fill_null("null"), "}", "\n", "")
    text = "".join(lines.to_pylist()).encode()
    held = pa.schema([pa.field("value", _read_as(kind))])
    parsing = pj.ParseOptions(explicit_schema=held, unexpected_field_behavior="error")
    reading = pj.ReadOptions(use_threads=False, block_size=len(text) + 1)
    read = pj.read_json(pa.BufferReader(text), reading, parsing).column("value").combine_chunks()
    return typed_value(read, kind)


def _lines(file: Any) -> Iterator[bytes]:
    """Read blocks of whole lines."""
    rest = b""
    while block := file.read(_READ):
        lines, end, rest = (rest + block).rpartition(b"\n")
        if end:
            yield lines + end
    if rest:
        raise ValueError("its last line has no end")
