"""Statements: a query and values for its parameters, kept in the handle that its client holds.

A server remembers none, so a handle is good at every replica and after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.servers.analytics_commands import SqlCommand

_MOST_BYTES: Final = 1 << 20  # of parameters
_SQL_KEYS: Final = ("sql", "params")


def handle_of(text: str, values: Sequence[Any] = ()) -> bytes:
    """Return what stands for a query."""
    return json.dumps({"sql": text, **({"params": list(values)} if values else {})}).encode()


def statement_of(handle: bytes) -> SqlCommand:
    """Return the query that a handle stands for; ConfigError where it is none of ours."""
    try:
        given = json.loads(handle)
    except (ValueError, RecursionError):
        given = None
    if (
        not isinstance(given, dict)
        or not set(given) <= set(_SQL_KEYS)
        or not isinstance(given.get("sql"), str)
    ):
        raise ConfigError("the handle is of no statement: prepare it again")
    return SqlCommand(given=given)


def bound(handle: bytes, reader: Any) -> bytes:
    """Return the handle of the same query with values: one row, a column for each parameter."""
    rows: list[pa.RecordBatch] = []
    for chunk in reader:
        if chunk.data is not None and chunk.data.num_rows:
            rows.append(chunk.data)
        if sum(one.num_rows for one in rows) > 1:
            raise ConfigError("parameters have more than one row: run the query once for each")
        if sum(one.nbytes for one in rows) > _MOST_BYTES:
            raise ConfigError(f"parameters have more than {_MOST_BYTES >> 20} MB: give shorter ones")
    values = [column[0].as_py() for column in rows[0].columns] if rows else []
    return handle_of(statement_of(handle).given["sql"], [*map(_plain, values)])


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; numbers and times in texts are read as what they are compared with."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise ConfigError(f"a parameter is a {type(value).__name__}: give a text, number, boolean or time")


def parameter_schema(names: Sequence[str]) -> pa.Schema:
    """Return the columns of parameters; texts, which the query reads as what they are compared with."""
    return pa.schema([pa.field(name, pa.string()) for name in names])
