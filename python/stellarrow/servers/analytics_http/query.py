"""SQL over the tables: POST /v1/query, each query in a sandbox, as of one ledger."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.refusals import Refused, blaming
from stellarrow.errors import StellarrowError, TooManyCalls, nearest
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_http.answers import Document, Whole, gaps_header, sealed, told
from stellarrow.servers.analytics_http.endpoint import Endpoint
from stellarrow.servers.analytics_http.negotiation import NotAcceptable, coding_of, format_of
from stellarrow.servers.analytics_http.parameters import FORMAT
from stellarrow.servers.analytics_http.query_writing import encoded
from stellarrow.servers.analytics_http.writing import MEDIA_TYPES
from stellarrow.servers.http_access import json_body
from stellarrow.servers.problems import described, problem
from stellarrow.sinks.files.departures import Absence
from stellarrow.sql.sandbox import Sandbox, SandboxAnswer, SandboxLimits, SandboxTable

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp

PATH: Final = "/v1/query"
_KEYS: Final = ("sql", "params", "limit", "timeout")
_FORMATS: Final = ("json", "ndjson", "csv", "arrow", "parquet")
_LIMITS: Final = SandboxLimits(seconds=10.0, memory_mb=512, rows=1_000, size_bytes=64 << 20)
MOST_ROWS: Final = 100_000
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 16  # with those that run


class Queries:
    """Answers SQL over tables; a few at once, each in a process that sees nothing but their rows."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._sandbox = Sandbox({}, _LIMITS)
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="stellarrow-sql")
        self._waiting = 0

    async def answer(
        self, request: Request, given: Mapping[str, Any], format_name: str, coding: str | None
    ) -> Whole:
        """Answer a query; one whose caller leaves is ended."""
        asked = AskedSql.read(given)
        if self._waiting >= _MOST_WAITING:
            raise TooManyCalls(f"{self._waiting} queries run or wait already: ask again in a moment")
        turn = _Turn()
        self._waiting += 1
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, self._answer, turn, asked, format_name, coding)
        watch = asyncio.ensure_future(_left(request))
        try:
            both: list[asyncio.Future[Any]] = [work, watch]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                turn.leave()
            return await work
        finally:
            watch.cancel()
            self._waiting -= 1

    def _answer(self, turn: _Turn, asked: AskedSql, format_name: str, coding: str | None) -> Whole:
        read = sandboxed(self._tables)
        if turn.has_left:
            raise TooManyCalls("nobody waits for this query")
        with (
            blaming("sql"),
            self._sandbox.answer(
                asked.text, asked.params, asked.limits, tables=read.tables, naming=read.name
            ) as found,
        ):
            turn.takes(found)
            batches = [*found]
            gaps = read.gaps()
            body = encoded(found.schema, batches, format_name, as_of=read.as_of, gaps=told(gaps))
            truncated = b"true" if found.truncated else b"false"
        headers = [
            (b"content-type", MEDIA_TYPES[format_name].encode()),
            (b"cache-control", b"no-store"),
            (b"x-as-of-ledger", str(read.as_of).encode()),
            (b"x-truncated", truncated),
            *gaps_header(gaps),
        ]
        return sealed(body, headers, None if format_name == "parquet" else coding)

    @contextmanager
    def begun(self, asked: AskedSql, *, describe: bool = False) -> Iterator[tuple[Sandboxed, SandboxAnswer]]:
        """Yield what a query reads, and the rows of its answer as they come, or its columns alone."""
        read = sandboxed(self._tables)
        tables, naming = read.tables, read.name
        with self._sandbox.answer(
            asked.text, asked.params, asked.limits, tables=tables, naming=naming, describe=describe
        ) as found:
            yield read, found

    def close(self) -> None:
        self._sandbox.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Turn:
    """A query that is being answered, which its caller may leave."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer: SandboxAnswer | None = None
        self.has_left = False

    def takes(self, answer: SandboxAnswer) -> None:
        with self._lock:
            self._answer = answer
            if self.has_left:
                answer.abandon()

    def leave(self) -> None:
        with self._lock:
            self.has_left = True
            if self._answer:
                self._answer.abandon()


async def _left(request: Request) -> None:
    """Return once the caller has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def query_route(queries: Queries) -> Route:
    """Return the route of SQL."""

    async def answer(request: Request) -> Response | ASGIApp:
        try:
            named = FORMAT.read(request.query_params.getlist("format"))
            format_name = named or format_of(request.headers.get("accept", ""), _FORMATS)
            coding = coding_of(request.headers.get("accept-encoding", ""))
            return await queries.answer(request, await json_body(request), format_name, coding)
        except NotAcceptable as error:
            return described(406, str(error), request.scope)
        except StellarrowError as error:
            return problem(error, request.scope)

    return Route(PATH, answer, methods=["POST"])


def described_query() -> Endpoint:
    """Return what the reference says of SQL."""
    return Endpoint(
        path=PATH,
        summary="SQL over the tables, reading only",
        description="One select in DuckDB's dialect over the tables' names, as of the last ledger that"
        " all the tables it names have come to. It sees no files and no network, and is bounded in time,"
        " memory and rows; X-Truncated says whether rows were left out."
        " A query that runs into its timeout is 504, one that needs too much memory 422.",
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
                "limit": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": _LIMITS.rows},
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": _LIMITS.seconds},
            },
        },
    )


@dataclass(frozen=True, slots=True)
class AskedSql:
    """A query that was read."""

    text: str
    params: Any
    limits: SandboxLimits

    @classmethod
    def read(cls, given: Mapping[str, Any], *, rows: int = _LIMITS.rows) -> AskedSql:
        """Read what was given by name; so many rows are answered with unless another limit is given."""
        for name in given:
            if name not in _KEYS:
                remedy = nearest(name, _KEYS, f"there are {', '.join(_KEYS)}")
                raise Refused(f"there is no field {shortened(name)!r}: {remedy}", field=shortened(name))
        text, params = read_sql(given)
        limit, seconds = given.get("limit", rows), given.get("timeout", _LIMITS.seconds)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 0 < limit <= MOST_ROWS:
            raise Refused(f"limit must be a whole number from 1 to {MOST_ROWS}", field="limit")
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not 0 < seconds <= _LIMITS.seconds:
            raise Refused(
                f"timeout must be seconds, more than 0 and at most {_LIMITS.seconds:g}", field="timeout"
            )
        return cls(text, params, replace(_LIMITS, rows=limit, seconds=max(0.05, float(seconds))))


def read_sql(given: Mapping[str, Any]) -> tuple[str, Any]:
    """Return a query's text and its values; Refused where they are none."""
    text = given.get("sql")
    if not isinstance(text, str) or not text.strip():
        raise Refused("sql is missing: give a select as text", field="sql")
    params = given.get("params", [])
    if not isinstance(params, list | dict):
        raise Refused("params is no list and no object: give values for ?, or for $name", field="params")
    return text, params


class Sandboxed:
    """What a query may read: every table, as of the last ledger that all the tables it names have come to.

    A table of which ledgers left has come to the last ledger that was there, so it holds no other back.
    """

    def __init__(self, snapshots: Mapping[str, Snapshot]) -> None:
        self._snapshots = snapshots
        self._named: tuple[str, ...] | None = None
        self.tables: Mapping[str, SandboxTable] = {
            name: SandboxTable(one.schema, partial(self._batches, one)) for name, one in snapshots.items()
        }

    def name(self, tables: Sequence[str]) -> None:
        """Learn which tables the query names, before their rows are read."""
        self._named = tuple(name for name in sorted(self._snapshots) if name in tables)

    @property
    def as_of(self) -> int:
        """The last ledger that is read; of a query that names no table, the one that all tables have."""
        meant = self._named or self._snapshots
        return min((self._snapshots[name].last_known for name in meant), default=0)

    def gaps(self) -> tuple[Absence, ...]:
        """Return which ledgers of the tables that the query names are not here."""
        read = [self._snapshots[name] for name in self._named or ()]
        return tuple(gap for one in read for gap in one.gaps(LedgerRange(0)))

    def _batches(self, snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
        schema = snapshot.schema
        for rows in snapshot.read(Question(table=snapshot.name), LedgerRange(0, self.as_of)):
            yield (
                rows
                if rows.schema == schema
                else pa.RecordBatch.from_arrays(
                    [rows.column(name).cast(schema.field(name).type) for name in schema.names], schema=schema
                )
            )


def sandboxed(tables: Tables) -> Sandboxed:
    """Return what a query may read of the tables as they are now."""
    return Sandboxed({name: tables.snapshot(name) for name in tables.names})
