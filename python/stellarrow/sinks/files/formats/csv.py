"""CSV with a header: text in quotes, nothing between the commas where there is no value.

Decimals are exact digits, times ISO 8601, binary base64, lists JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from stellarrow.core.json_values import base64_of, moments, value
from stellarrow.core.rows import no_rows
from stellarrow.core.text import csv_text
from stellarrow.core.typed_columns import is_declared
from stellarrow.sinks.files.dictionaries import without_dictionaries
from stellarrow.sinks.files.formats.added import grows
from stellarrow.sinks.files.formats.jsonl import parsed
from stellarrow.sinks.files.formats.text import (
    TextFormat,
    chosen,
    compressing,
    decompressing,
    valued,
    whole_ledgers,
)

_READ: Final = 16 << 20  # bytes of text at once


class Csv(TextFormat):
    """The format CSV."""

    name = "csv"

    def __init__(self, codec: str | None = None, *, is_packed: bool = False) -> None:
        super().__init__(codec, suffix=".csv", told="CSV", is_packed=is_packed)

    def begin(self, out: Any, schema: pa.Schema) -> _Writing:
        return _Writing(compressing(out, self.codec, is_packed=self.is_packed), schema)

    def read(
        self, file: pa.NativeFile, schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        asked = chosen(schema, columns)
        names = {as_header(field.name): field.name for field in asked}
        nested = {field.name: field.type for field in asked if pa.types.is_nested(field.type)}
        reader = pv.open_csv(
            decompressing(file, self.codec),
            pv.ReadOptions(use_threads=False, block_size=_READ),
            pv.ParseOptions(newlines_in_values=True),
            pv.ConvertOptions(
                column_types={as_header(field.name): _read_as(field.type) for field in asked},
                include_columns=[*names] if columns else None,
                include_missing_columns=grows(asked),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

        def batches() -> Iterator[pa.RecordBatch]:
            for rows in reader:
                held = [names.get(header, header) for header in rows.schema.names]
                texts = zip(held, rows.columns, strict=True)
                values = [_values(one, nested[name]) if name in nested else one for name, one in texts]
                yield valued(pa.RecordBatch.from_arrays(values, held), asked)

        return whole_ledgers(batches())


class _Writing:
    def __init__(self, out: Any, schema: pa.Schema) -> None:
        self._out = out
        header = pa.BufferOutputStream()
        pv.write_csv(no_rows(_plain(schema)), header)
        out.write(header.getvalue())

    def write(self, rows: pa.RecordBatch) -> None:
        written = csv_text(rows)
        self._out.write(by_kernels(rows) if written is None else written)

    def close(self, facts: Mapping[str, str]) -> None:  # noqa: ARG002  the Protocol has it
        self._out.close()


def by_kernels(rows: pa.RecordBatch) -> pa.Buffer:
    """Return lines as Arrow writes them, whatever the types of columns."""
    rows = without_dictionaries(rows)
    known = ["" if is_declared(field) else field.name for field in rows.schema]
    columns = [_text(column, name) for column, name in zip(rows.columns, known, strict=True)]
    out = pa.BufferOutputStream()
    plain = pa.RecordBatch.from_arrays(columns, schema=_plain(rows.schema))
    pv.write_csv(plain, out, pv.WriteOptions(include_header=False))
    return out.getvalue()


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(as_header(field.name), _written_as(field.type)) for field in schema])


def as_header(name: str) -> str:
    """Return what stands for a column's name above its values: Arrow takes no quotes there."""
    return name.replace('"', "\\x22")


def _written_as(kind: pa.DataType) -> pa.DataType:
    as_text = pa.types.is_nested(kind) or pa.types.is_timestamp(kind) or _is_bytes(kind)
    return pa.string() if as_text else kind


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _text(column: pa.Array, name: str) -> pa.Array:
    if pa.types.is_nested(column.type):
        return value(column, name)
    if pa.types.is_timestamp(column.type):
        return moments(column)
    return base64_of(column) if _is_bytes(column.type) else column


def _read_as(kind: pa.DataType) -> pa.DataType:
    return pa.string() if _written_as(kind) == pa.string() else kind


def _values(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    return _listed(texts) if kind == pa.list_(pa.string()) else parsed(texts, kind)


def _listed(texts: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring(texts, "\\")).as_py() or pc.any(pc.match_substring(texts, "null")).as_py():
        return pa.array([one and json.loads(one) for one in texts.to_pylist()], pa.list_(pa.string()))
    inner = pc.utf8_slice_codeunits(texts, 2, -2)
    return pc.if_else(
        pc.equal(texts, "[]"), pa.scalar([], pa.list_(pa.string())), pc.split_pattern(inner, '","')
    )
