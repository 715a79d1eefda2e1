"""Rows as they come, for any number of listeners: read and encoded once a question and format.

A channel follows a question at the live edge. A listener that begins further back, or that fell behind, reads
by itself until it is where the channel is, and joins between two deliveries: nothing is lost or comes twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from stellarrow.analytics.reads.reading import Question, Tables
from stellarrow.analytics.reads.tailing import Part, Tail
from stellarrow.errors import StellarrowError
from stellarrow.extras import needing

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool

_RETRY_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)

Encode = Callable[[Part], bytes]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A part, its rows encoded, and the token behind it."""

    part: Part
    body: bytes
    resume: str


class Listener(Protocol):
    """Takes what a channel delivers, at once and in the event loop."""

    def deliver(self, delivery: Delivery) -> None:
        """Take it; who cannot leaves the channel."""


class Channel:
    """One question in one format, at the live edge."""

    def __init__(self, tail: Tail, encode: Encode) -> None:
        self.tail = tail
        self.position = tail.place("latest")
        self._encode = encode
        self._members: dict[int, Listener] = {}
        self._moved = asyncio.Event()
        self.users = 0

    async def advance(self) -> None:
        """Deliver what has come."""
        parts = self.tail.parts(self.position)
        while (made := await run_in_threadpool(self._next, parts)) is not None:
            self.position = made.part.last
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
            for member in [*self._members.values()]:
                member.deliver(made)

    def join(self, listener: Listener, position: int) -> bool:
        """Take a listener in that is exactly where the channel is."""
        if position != self.position:
            return False
        self._members[id(listener)] = listener
        return True

    def has(self, listener: Listener) -> bool:
        """Tell whether a listener is told what comes."""
        return id(listener) in self._members

    def leave(self, listener: Listener) -> None:
        self._members.pop(id(listener), None)

    async def history(self, position: int) -> AsyncIterator[Delivery]:
        """Yield what lies between a position and the channel's, encoded for one listener alone."""
        while position < self.position:
            parts = self.tail.parts(position, until=self.position)
            before = position
            while (made := await run_in_threadpool(self._next, parts)) is not None:
                position = made.part.last
                yield made
            if position == before:
                return

    async def wait_for(self, position: int) -> None:
        """Return once the channel has come to a position that is ahead of it."""
        while self.position < position:
            await self._moved.wait()

    def _next(self, parts: Iterator[Part]) -> Delivery | None:
        part = next(parts, None)
        if part is None:
            return None
        body = self._encode(part) if part.rows is not None else b""
        return Delivery(part, body, self.tail.token(part.last))


class Channels:
    """The channels that somebody listens to, and what moves them; all in one event loop."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._channels: dict[tuple[str, tuple[str, ...], str], Channel] = {}
        self._changed: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self, question: Question, format_name: str, encode: Callable[[Tail], Encode]) -> Channel:
        """Return the channel of a question, made for the first who listens."""
        key = (question.shape, question.columns, format_name)
        channel = self._channels.get(key)
        if channel is None:
            tail = Tail(self.tables, question)
            channel = self._channels[key] = Channel(tail, encode(tail))
        channel.users += 1
        self._begin()
        return channel

    def release(self, channel: Channel) -> None:
        """Let go of a channel, which ends with its last listener."""
        channel.users -= 1
        if channel.users <= 0:
            self._channels = {key: one for key, one in self._channels.items() if one is not channel}

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._changed = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(self._changed))

    async def _run(self, changed: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(changed.set)

        unlisten = self.tables.listen(tell)
        try:
            while self._channels:
                for channel in [*self._channels.values()]:
                    try:
                        await channel.advance()
                    except StellarrowError as error:
                        _log.error("rows cannot be read: %s", error)
                        await asyncio.sleep(_RETRY_SECONDS)
                        changed.set()
                await changed.wait()
                changed.clear()
        finally:
            unlisten()
