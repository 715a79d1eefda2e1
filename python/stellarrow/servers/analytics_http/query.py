"""SQL over the tables: POST /v1/query, each query in a sandbox, as of one ledger."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pyarrow as pa

from stellarrow.analytics.reads.reading import Question, Snapshot, Tables
from stellarrow.analytics.reads.refusals import Refused
from stellarrow.errors import StellarrowError, TooManyCalls, nearest
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_http.answers import Document, Rows, Whole, whole
from stellarrow.servers.analytics_http.endpoint import Endpoint
from stellarrow.servers.analytics_http.negotiation import NotAcceptable, coding_of, format_of
from stellarrow.servers.analytics_http.parameters import FORMAT
from stellarrow.servers.http_access import json_body
from stellarrow.servers.problems import described, problem
from stellarrow.sql.sandbox import Sandbox, SandboxLimits, SandboxTable

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp

PATH: Final = "/v1/query"
_KEYS: Final = ("sql", "params", "limit", "timeout")
_FORMATS: Final = ("json", "ndjson", "csv", "arrow", "parquet")
_LIMITS: Final = SandboxLimits(seconds=10.0, memory_mb=512, rows=1_000, size_bytes=64 << 20)
_MOST_ROWS: Final = 100_000
_AT_ONCE: Final = 2
_WAIT_SECONDS: Final = 5.0  # for one of those to end


class Queries:
    """Answers SQL over tables; a few at once, each in a process that sees nothing but their rows."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._sandbox = Sandbox({}, _LIMITS)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def answer(self, given: Mapping[str, Any]) -> tuple[Rows, bool]:
        """Return a query's rows, and whether there were more of them."""
        text, params, limits = _read(given)
        snapshots = {name: self._tables.snapshot(name) for name in self._tables.names}
        as_of = min((one.as_of for one in snapshots.values()), default=0)
        tables = {name: _table(one, as_of) for name, one in snapshots.items()}
        if not self._turns.acquire(timeout=_WAIT_SECONDS):
            raise TooManyCalls(f"{_AT_ONCE} queries run already: ask again in a moment", retry_after=1.0)
        try:
            with self._sandbox.answer(text, params, limits, tables=tables) as found:
                batches = [*found]
                return Rows(found.schema, batches, as_of), found.truncated
        finally:
            self._turns.release()

    def close(self) -> None:
        self._sandbox.close()


def query_route(queries: Queries) -> Route:
    """Return the route of SQL."""

    async def answer(request: Request) -> Response | ASGIApp:
        try:
            named = FORMAT.read(request.query_params.getlist("format"))
            format_name = named or format_of(request.headers.get("accept", ""), _FORMATS)
            given = await json_body(request)
            rows, is_truncated = await run_in_threadpool(queries.answer, given)
        except NotAcceptable as error:
            return described(406, str(error), request.scope)
        except StellarrowError as error:
            return problem(error, request.scope)
        made = whole(rows, format_name, coding_of(request.headers.get("accept-encoding", "")))
        told = b"true" if is_truncated else b"false"
        return Whole(made.body, (*made.headers, (b"x-truncated", told)), made.etag)

    return Route(PATH, answer, methods=["POST"])


def described_query() -> Endpoint:
    """Return what the reference says of SQL."""
    return Endpoint(
        path=PATH,
        summary="SQL over the tables, reading only",
        description="One select in DuckDB's dialect over the tables' names, as of one ledger. It sees no"
        " files and no network, and is bounded in time, memory and rows; X-Truncated says whether rows"
        " were left out.",
        answer=lambda _: Document(),
        tag="sql",
        has_rows=True,
        body={
            "type": "object",
            "required": ["sql"],
            "additionalProperties": False,
            "properties": {
                "sql": {"type": "string", "minLength": 1, "maxLength": _LIMITS.text_characters},
                "params": {"type": ["array", "object"], "description": "Values for ?, or for $name."},
                "limit": {"type": "integer", "minimum": 1, "maximum": _MOST_ROWS, "default": _LIMITS.rows},
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": _LIMITS.seconds},
            },
        },
    )


def _read(given: Mapping[str, Any]) -> tuple[str, Any, SandboxLimits]:
    for name in given:
        if name not in _KEYS:
            remedy = nearest(name, _KEYS, f"there are {', '.join(_KEYS)}")
            raise Refused(f"there is no field {shortened(name)!r}: {remedy}", field=shortened(name))
    text = given.get("sql")
    if not isinstance(text, str) or not text.strip():
        raise Refused("sql is missing: give a select as text", field="sql")
    params = given.get("params", [])
    if not isinstance(params, list | dict):
        raise Refused("params is no list and no object: give values for ?, or for $name", field="params")
    limit, seconds = given.get("limit", _LIMITS.rows), given.get("timeout", _LIMITS.seconds)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= _MOST_ROWS:
        raise Refused(f"limit must be a whole number from 1 to {_MOST_ROWS}", field="limit")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds <= _LIMITS.seconds:
        raise Refused(
            f"timeout must be seconds, more than 0 and at most {_LIMITS.seconds:g}", field="timeout"
        )
    return text, params, replace(_LIMITS, rows=limit, seconds=float(seconds))


def _table(snapshot: Snapshot, as_of: int) -> SandboxTable:
    return SandboxTable(snapshot.schema, partial(_batches, snapshot, as_of))


def _batches(snapshot: Snapshot, as_of: int) -> Iterator[pa.RecordBatch]:
    schema = snapshot.schema
    for rows in snapshot.read(Question(table=snapshot.name), LedgerRange(0, as_of)):
        yield (
            rows
            if rows.schema == schema
            else pa.RecordBatch.from_arrays(
                [rows.column(name).cast(schema.field(name).type) for name in schema.names], schema=schema
            )
        )
