"""Server-sent events: a table's rows as they become durable; Last-Event-ID goes on without loss or repeat."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.reading import Question
from stellarrow.analysis.reads.tailing import LATEST, Part
from stellarrow.errors import StellarrowError
from stellarrow.extras import needing
from stellarrow.security.access import Grant
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.answers import Document
from stellarrow.servers.analytics_http.endpoint import Endpoint
from stellarrow.servers.analytics_http.parameters import Parameter, read_all
from stellarrow.servers.analytics_http.writing import json_rows
from stellarrow.servers.analytics_live import Channel, Channels, Delivery, Following
from stellarrow.servers.http_access import grant_of
from stellarrow.servers.problems import problem
from stellarrow.servers.status import status_of

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

_HEARTBEAT_SECONDS: Final = 15.0  # proxies close what is silent for longer
_LOOK_SECONDS: Final = 1.0  # between looks at whether the caller may still listen
_PROGRESS_SECONDS: Final = 5.0  # rows that fit are rare: say how far it is, so that the token stays young
_BEHIND_BYTES: Final = 1 << 20  # then it reads for itself, at its own pace
_RETRY: Final = b"retry: 1000\n\n"
_FROM: Final = Parameter(
    "from",
    "latest, earliest, or the id of an event; the header Last-Event-ID counts before it.",
    default=LATEST,
    longest=1_024,
)
PARAMETERS: Final = (
    *(of.TABLE, _FROM, of.COLUMNS, of.CONTRACT_IDS, of.ACCOUNTS, of.ASSETS),
    *(of.EVENT_TYPES, of.EVENT_NAMES, of.WHERE),
)
_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names")


def described() -> Endpoint:
    """Return what the reference says of the event streams."""
    return Endpoint(
        path="/v1/stream/{table}",
        summary="Rows as they come, as server-sent events",
        description="Each event has whole ledgers: rows, with first_ledger, last_ledger and rows; progress,"
        " where no row fits; gap, where ledgers are not here; problem, where no more can be read, with a"
        " sentence. Its id is where Last-Event-ID goes on: over reconnects, restarts and other servers of the"
        " same ledgers, without loss or repeat.",
        answer=lambda _: Document(),
        tag="stream",
        parameters=PARAMETERS,
        is_stream=True,
    )


def stream_route(channels: Channels) -> Route:
    """Return the route of the event streams."""

    async def answer(request: Request) -> Response:
        query: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            query.setdefault(name, []).append(value)
        try:
            asked = read_all(PARAMETERS, query, request.path_params)
            lists = {name: asked[name] for name in _LISTS}
            conditions = Conditions(**lists, where=asked["where"] or "").checked()
            question = Question(table=asked["table"], conditions=conditions, columns=asked["columns"])
            channel = channels.open(question, "sse", _encoder)
        except StellarrowError as error:
            return problem(error, request.scope)
        try:
            origin = request.headers.get("last-event-id") or asked["from"]
            place = channel.tail.place(origin)
        except StellarrowError as error:
            channels.release(channel)
            return problem(error, request.scope)
        listener = _Events(channels, channel, place, grant_of(request))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(listener.events(), media_type="text/event-stream", headers=headers)

    return Route("/v1/stream/{table}", answer, methods=["GET"])


def _encoder(_: Following) -> Any:
    def encode(part: Part) -> bytes:
        return json_rows([part.rows]) if part.rows is not None else b""

    return encode


class _Events:
    """One listener: first what it missed, then what comes."""

    def __init__(self, channels: Channels, channel: Channel, position: int, grant: Grant) -> None:
        self._channels = channels
        self._channel = channel
        self._position = position
        self._grant = grant
        self._held: deque[Delivery] = deque()
        self._held_bytes = 0
        self._arrived = asyncio.Event()
        self._failure: StellarrowError | None = None
        self._told = self._spoken = time.monotonic()

    def deliver(self, delivery: Delivery) -> None:
        if self._held_bytes > _BEHIND_BYTES:
            self._channel.leave(self)  # what comes now it reads later, by itself
        else:
            self._held.append(delivery)
            self._held_bytes += len(delivery.body)
        self._arrived.set()

    def fail(self, error: StellarrowError) -> None:
        self._failure = error
        self._arrived.set()

    async def events(self) -> AsyncIterator[bytes]:
        try:
            yield _RETRY
            while not self._is_over():
                async for made in self._channel.history(self._position):
                    if event := self._event(made):
                        yield event
                    if self._is_over():
                        return
                async for beat in self._until_reached():
                    yield beat
                if self._channel.join(self, self._position):
                    async for event in self._live():
                        yield event
        except StellarrowError as error:
            # A browser connects again: not at once, as it would be told the same.
            yield b"retry: 60000\n" + _written("problem", self._resume, _said(error))
        finally:
            self._channel.leave(self)
            self._channels.release(self._channel)

    async def _until_reached(self) -> AsyncIterator[bytes]:
        """Wait for the channel where it is behind the listener, who was at a server that is ahead."""
        while self._channel.position < self._position and not self._is_over():
            if not await self._channel.moves(_LOOK_SECONDS) and (beat := self._beat()):
                yield beat

    async def _live(self) -> AsyncIterator[bytes]:
        """Yield what is delivered, until the listener has fallen behind."""
        while not self._is_over():
            while self._held:
                made = self._held.popleft()
                self._held_bytes -= len(made.body)
                if event := self._event(made):
                    yield event
            if self._failure:
                raise self._failure
            if not self._channel.has(self):
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), _LOOK_SECONDS)
            except TimeoutError:
                if beat := self._beat():
                    yield beat

    def _beat(self) -> bytes:
        """Return a sign of life, where nothing was said for long."""
        now = time.monotonic()
        if now - self._spoken < _HEARTBEAT_SECONDS:
            return b""
        self._spoken = now
        return b": still here\n\n"

    @property
    def _resume(self) -> str:
        return self._channel.tail.token(self._position)

    def _is_over(self) -> bool:
        return self._grant.has_ended() or self._channels.tables.is_closed

    def _event(self, made: Delivery) -> bytes:
        self._position = made.part.last
        now = self._spoken = time.monotonic()
        head = {"first_ledger": made.part.first, "last_ledger": made.part.last}
        if made.part.is_gap:
            went = made.part.absence.to_dict() if made.part.absence else {}
            return _written("gap", made.resume, json.dumps({**went, **head}).encode())
        if made.body:
            self._told = now
            data = json.dumps(head).encode()[:-1] + b', "rows": [' + made.body + b"]}"
            return _written("rows", made.resume, data)
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            return _written("progress", made.resume, json.dumps(head).encode())
        return b""


def _said(error: StellarrowError) -> bytes:
    return json.dumps({"status": status_of(error).http, "detail": str(error)}).encode()


def _written(kind: str, resume: str, data: bytes) -> bytes:
    return f"id: {resume}\nevent: {kind}\ndata: ".encode() + data + b"\n\n"
