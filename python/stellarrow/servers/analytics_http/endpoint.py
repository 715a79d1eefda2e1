"""An endpoint: where it is, what it takes, what it answers; made a route that checks, answers and caches."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from stellarrow.errors import StellarrowError
from stellarrow.extras import needing
from stellarrow.servers.analytics_http.answers import Document, Rows, Streamed, Whole, whole
from stellarrow.servers.analytics_http.negotiation import NotAcceptable, coding_of, format_of
from stellarrow.servers.analytics_http.parameters import FORMAT, Parameter, read_all
from stellarrow.servers.http_access import grant_of
from stellarrow.servers.problems import described, problem

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.routing import Route
    from starlette.types import ASGIApp

_CACHE_BYTES: Final = 64 << 20
_CACHED_BYTES: Final = 2 << 20  # of one answer at most
_THREADS: Final = 40  # begun as they are needed: some answers take seconds, and hold up no others
_log: Final = logging.getLogger(__name__)
_ALL_FORMATS: Final = ("json", "ndjson", "csv", "arrow", "parquet")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read: the values of its parameters, and the format it wants."""

    values: Mapping[str, Any]
    format_name: str
    is_limited: bool  # whether it asks for a page, not for all rows

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


Answering = Callable[[Asked], Document | Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path. `rows_of` names the table whose rows it answers with, where that is always the same."""

    path: str
    summary: str
    answer: Answering
    tag: str
    parameters: tuple[Parameter, ...] = ()
    description: str = ""
    has_rows: bool = False
    rows_of: str = ""
    is_cached: bool = True
    body: Mapping[str, Any] | None = None  # the JSON schema of what is posted; None where it is got
    is_stream: bool = False  # of events, without end
    document: Mapping[str, Any] = field(default_factory=dict)  # the JSON schema of an answer without rows
    verb: str = ""  # where it is neither GET nor POST
    status: str = "200"  # of an answer
    is_file: bool = False  # in any of the formats, sent as it lies on disk

    @property
    def method(self) -> str:
        return self.verb or ("GET" if self.body is None else "POST")

    @property
    def formats(self) -> tuple[str, ...]:
        return _ALL_FORMATS if self.has_rows else ("json",)

    @property
    def taken(self) -> tuple[Parameter, ...]:
        return (*self.parameters, FORMAT) if self.has_rows else self.parameters


class Cache:
    """Answers by request, as long as nothing came since; bounded in bytes."""

    def __init__(self, version: Callable[[], int]) -> None:
        self._version = version
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[Any, ...], tuple[int, Whole]] = OrderedDict()
        self._bytes = 0

    @property
    def version(self) -> int:
        return self._version()

    def get(self, key: tuple[Any, ...]) -> Whole | None:
        with self._lock:
            found = self._held.get(key)
            if found is None or found[0] != self._version():
                return None
            self._held.move_to_end(key)
            return found[1]

    def put(self, key: tuple[Any, ...], version: int, answer: Whole) -> None:
        if len(answer.body) > _CACHED_BYTES:
            return
        with self._lock:
            if old := self._held.pop(key, None):
                self._bytes -= len(old[1].body)
            self._held[key] = version, answer
            self._bytes += len(answer.body)
            while self._bytes > _CACHE_BYTES:
                _, (_, gone) = self._held.popitem(last=False)
                self._bytes -= len(gone.body)


def route(endpoint: Endpoint, cache: Cache, pool: Executor) -> Route:
    """Return the route of an endpoint, whose answers are made on threads of a pool."""

    async def answer(request: Request) -> Any:
        key = _key(request)
        if endpoint.is_cached and (known := cache.get(key)):
            return known
        version = cache.version  # before it is made: what comes meanwhile makes it old
        try:
            # Starlette's own way to a thread takes longer by 40 µs, a tenth of an answer.
            making = partial(copy_context().run, _made, endpoint, request)
            made = await asyncio.get_running_loop().run_in_executor(pool, making)
        except NotAcceptable as error:
            return described(406, str(error), request.scope)
        except StellarrowError as error:
            return problem(error, request.scope)
        except Exception:
            _log.exception("unexpected error in %s", endpoint.path)
            return described(500, "an unexpected error: the log has more", request.scope)
        if endpoint.is_cached and isinstance(made, Whole):
            cache.put(key, version, made)
        return made

    return Route(endpoint.path, answer, methods=["GET"])


def _key(request: Request) -> tuple[Any, ...]:
    scope = request.scope
    accept = tuple(value for name, value in scope["headers"] if name in (b"accept", b"accept-encoding"))
    return scope["path"], scope["query_string"], accept


def _made(endpoint: Endpoint, request: Request) -> ASGIApp:
    """Read the request, and make the answer, or the beginning of one that is streamed."""
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    values = read_all(endpoint.taken, query, request.path_params)
    named = values.get("format")
    format_name = named or format_of(request.headers.get("accept", ""), endpoint.formats)
    coding = coding_of(request.headers.get("accept-encoding", ""))
    is_limited = format_name == "json" or "limit" in query or bool(values.get("cursor"))
    made = endpoint.answer(Asked(values, format_name, is_limited))
    if isinstance(made, Rows) and not isinstance(made.batches, list):
        return Streamed(made, format_name, coding, grant_of(request).has_ended)
    return whole(made, format_name, coding)


def routes_of(endpoints: Sequence[Endpoint], version: Callable[[], int]) -> list[Route]:
    """Return the routes of endpoints, which share a cache and threads."""
    cache = Cache(version)
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="stellarrow-rest")
    return [route(one, cache, pool) for one in endpoints]
