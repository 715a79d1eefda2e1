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

from stellarrow.core.text import csv_text
from stellarrow.sinks.files.formats.added import ADDED
from stellarrow.sinks.files.formats.jsonl import value
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


class Csv(TextFormat):
    """The format CSV."""

    name = "csv"

    def __init__(self, codec: str | None = None) -> None:
        super().__init__(codec, suffix=".csv", told="CSV")

    def begin(self, out: Any, schema: pa.Schema) -> _Writing:
        return _Writing(compressing(out, self.codec), schema)

    def read(
        self, file: pa.NativeFile, schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        asked = chosen(schema, columns)
        lists = {field.name for field in asked if pa.types.is_list(field.type)}
        types = {field.name: _read_as(field.type) for field in asked}
        reader = pv.open_csv(
            decompressing(file, self.codec),
            pv.ReadOptions(use_threads=False, block_size=_READ),
            pv.ParseOptions(newlines_in_values=True),
            pv.ConvertOptions(
                column_types=types,
                include_columns=asked.names if columns else None,
                include_missing_columns=not ADDED.isdisjoint(asked.names),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

        def batches() -> Iterator[pa.RecordBatch]:
            for rows in reader:
                parsed = [
                    _listed(column) if name in lists else column
                    for name, column in zip(rows.schema.names, rows.columns, strict=True)
                ]
                yield valued(pa.RecordBatch.from_arrays(parsed, rows.schema.names), asked)

        return whole_ledgers(batches())


class _Writing:
    def __init__(self, out: Any, schema: pa.Schema) -> None:
        self._out = out
        pv.write_csv(pa.RecordBatch.from_pylist([], _plain(schema)), out)  # the header

    def write(self, rows: pa.RecordBatch) -> None:
        written = csv_text(rows)
        self._out.write(by_kernels(rows) if written is None else written)

    def close(self, facts: Mapping[str, str]) -> None:  # noqa: ARG002  the Protocol has it
        self._out.close()


def by_kernels(rows: pa.RecordBatch) -> pa.Buffer:
    """Return lines as Arrow writes them, whatever the types of columns."""
    columns = [_text(column, name) for column, name in zip(rows.columns, rows.schema.names, strict=True)]
    out = pa.BufferOutputStream()
    plain = pa.RecordBatch.from_arrays(columns, schema=_plain(rows.schema))
    pv.write_csv(plain, out, pv.WriteOptions(include_header=False))
    return out.getvalue()


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, _written_as(field.type)) for field in schema])


def _written_as(kind: pa.DataType) -> pa.DataType:
    answer = pa.types.is_list(kind) or pa.types.is_timestamp(kind) or pa.types.is_binary(kind)
    return pa.string() if answer else kind


def _text(column: pa.Array, name: str) -> pa.Array:
    if pa.types.is_list(column.type):
        return value(column, name)
    if pa.types.is_timestamp(column.type):
        return moments(column)
    return base64_of(column) if pa.types.is_binary(column.type) else column


def _read_as(kind: pa.DataType) -> pa.DataType:
    return pa.string() if _written_as(kind) == pa.string() else kind


def _listed(texts: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring(texts, "\\")).as_py():
        return pa.array([one and json.loads(one) for one in texts.to_pylist()], pa.list_(pa.string()))
    inner = pc.utf8_slice_codeunits(texts, 2, -2)
    return pc.if_else(
        pc.equal(texts, "[]"), pa.scalar([], pa.list_(pa.string())), pc.split_pattern(inner, '","')
    )
