"""Answers of SQL as bytes: columns are a stranger's own, so each name and type is looked at first."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from pyarrow import types

from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_http.writing import Block, written
from stellarrow.sql import parquet_amounts

_LONGEST_NAME: Final = 200
_SAFE_INTEGER_BITS: Final = 32  # what is wider is a text in JSON, as everywhere
_PLAIN: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    *(types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal),
    *(types.is_string, types.is_large_string, types.is_binary, types.is_large_binary),
    *(types.is_date32, types.is_time),
)


def encoded(
    schema: pa.Schema,
    batches: Sequence[pa.RecordBatch],
    format_name: str,
    *,
    as_of: int,
    gaps: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Return rows in a format; ConfigError names the column that has no place there."""
    if format_name != "json":
        return b"".join(blocks(schema, batches, format_name))
    _check_columns(schema, format_name)
    with _placing(format_name):
        body = b",".join(map(_json, _rows(schema, batches)))
    rest: dict[str, Any] = {"next_cursor": None, "as_of_ledger": as_of}
    if gaps:
        rest["gaps"] = gaps
    return b'{"rows":[' + body + b"]," + json.dumps(rest, separators=(",", ":")).encode()[1:]


def blocks(schema: pa.Schema, batches: Iterable[pa.RecordBatch], format_name: str) -> Iterator[Block]:
    """Yield rows in a format, which is not json, as they come; ConfigError as of encoded()."""
    _check_columns(schema, format_name)
    with _placing(format_name):
        if format_name in ("arrow", "parquet"):
            kept = map(parquet_amounts.kept, batches) if format_name == "parquet" else iter(batches)
            yield from written(format_name, schema, kept, None)
        elif format_name == "csv":
            yield _csv([schema.names])
            for batch in batches:
                yield _csv([row[name] for name in schema.names] for row in _rows(schema, [batch]))
        else:
            for batch in batches:
                yield b"".join(_json(row) + b"\n" for row in _rows(schema, [batch]))


@contextmanager
def _placing(format_name: str) -> Iterator[None]:
    try:
        yield
    except StellarrowError:
        raise
    except (pa.ArrowException, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"a value has no place in {format_name} ({reason}): cast it to VARCHAR") from error


def _check_columns(schema: pa.Schema, format_name: str) -> None:
    for field in schema:
        _check(field, is_flat=format_name == "csv")
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise ConfigError(f"two columns are called {shortened(twice)!r}: name them apart, with AS")


def _check(field: pa.Field, *, is_flat: bool) -> None:
    if len(field.name) > _LONGEST_NAME:
        raise ConfigError(f"a column's name has {len(field.name):,} characters: give it one with AS")
    if not _has_place(field.type, is_flat=is_flat):
        remedy = "ask for another format, or cast it to VARCHAR" if is_flat else "cast it to VARCHAR"
        raise ConfigError(f"column {shortened(field.name)!r} has the type {field.type}: {remedy}")


def _has_place(kind: pa.DataType, *, is_flat: bool) -> bool:
    if types.is_timestamp(kind):
        return bool(kind.unit != "ns")
    if types.is_list(kind) or types.is_large_list(kind):
        return not is_flat and _has_place(kind.value_type, is_flat=is_flat)
    if types.is_struct(kind):
        return not is_flat and all(_has_place(field.type, is_flat=is_flat) for field in kind)
    return any(one(kind) for one in _PLAIN)


def _rows(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    wide = {field.name for field in schema if _is_wide(field.type)}
    for batch in batches:
        for row in batch.to_pylist():  # a stranger's few columns of any type
            yield {name: _plain(value, wide=name in wide) for name, value in row.items()}


def _is_wide(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind)) and kind.bit_width > _SAFE_INTEGER_BITS


def _plain(value: Any, *, wide: bool = False) -> Any:
    """Return what JSON has for a value, every digit kept."""
    if isinstance(value, Decimal) or (wide and value is not None):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()


def _csv(lines: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
