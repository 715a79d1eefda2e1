"""JSON lines, put together from Arrow's columns: an object a row, with every column, null where it has none.

The core writes what tables have; Arrow's kernels write columns of other types, which a query may answer with.

Decimals and 64-bit integers are strings, exact for readers that know only floats; times are ISO 8601, binary
is base64. Strings that hold JSON stay strings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from struct import unpack_from
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from stellarrow.core.text import json_text
from stellarrow.sinks.files.formats.text import (
    TextFormat,
    base64_of,
    chosen,
    compressing,
    decompressing,
    moments,
    valued,
    whole_ledgers,
)

_READ: Final = 16 << 20  # bytes of text at once
# What JSON must escape (RFC 8259, 7). Base64, hex, strkeys and digits never hold it: they are not searched.
_ESCAPED: Final = r'["\\\x00-\x1f]'
_NEVER_ESCAPED: Final = ("_xdr", "_hash", "contract_id", "amount_text", "balance_text")


class JsonLines(TextFormat):
    """The format JSON lines."""

    name = "jsonl"

    def __init__(self, codec: str | None = None) -> None:
        super().__init__(codec, suffix=".jsonl", told="JSON lines")

    def begin(self, out: Any, schema: pa.Schema) -> _Writing:  # noqa: ARG002  rows tell theirs
        return _Writing(compressing(out, self.codec))

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
    return by_kernels(rows, end=end) if written is None else pa.py_buffer(written)


def by_kernels(rows: pa.RecordBatch, *, end: str = "\n") -> pa.Buffer:
    """Join names and values of each row; the joined column's buffer is the text."""
    parts: list[Any] = []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        parts += [f'{"," if parts else "{"}"{name}":', value(column, name)]
    lines = pc.binary_join_element_wise(
        *parts, f"}}{end}", "", null_handling="replace", null_replacement="null"
    )
    _, offsets, text = lines.buffers()
    return text.slice(0, unpack_from("=i", offsets, 4 * len(lines))[0])


def value(column: pa.Array, name: str) -> pa.Array:
    """Return a column's values as JSON, null where there is none."""
    kind = column.type
    if pa.types.is_list(kind):
        texts = _quoted(_escaped(column.flatten(), name))
        offsets = pc.subtract(column.offsets, column.offsets[0])
        lists = pa.ListArray.from_arrays(offsets, texts, mask=column.is_null() if column.null_count else None)
        return pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")
    if pa.types.is_string(kind):
        return _quoted(_escaped(column, name))
    if pa.types.is_timestamp(kind):
        return _quoted(moments(column))
    if pa.types.is_binary(kind):
        return _quoted(base64_of(column))
    if pa.types.is_decimal(kind) or kind in (pa.int64(), pa.uint64()):
        return _quoted(column.cast(pa.string()))
    if pa.types.is_floating(kind):  # JSON has no word for what is no number
        return pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
    return column.cast(pa.string())


def _quoted(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', texts, '"', "")


def _escaped(texts: pa.Array, name: str) -> pa.Array:
    if name.endswith(_NEVER_ESCAPED) or not pc.any(pc.match_substring_regex(texts, _ESCAPED)).as_py():
        return texts
    different = texts.dictionary_encode()
    escaped = [one and json.dumps(one, ensure_ascii=False)[1:-1] for one in different.dictionary.to_pylist()]
    return pa.array(escaped, pa.string()).take(different.indices)


def _read_as(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind):
        return kind
    return kind if pa.types.is_integer(kind) and kind.bit_width < 64 else pa.string()


def _lines(file: Any) -> Iterator[bytes]:
    """Read blocks of whole lines."""
    rest = b""
    while block := file.read(_READ):
        lines, end, rest = (rest + block).rpartition(b"\n")
        if end:
            yield lines + end
    if rest:
        raise ValueError("its last line has no end")
