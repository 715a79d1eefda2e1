"""Rows as they come, for any number of listeners: read and encoded once a question and format.

A channel follows a question at the live edge. A listener that begins further back, or that fell behind, reads
by itself until it is where the channel is, and joins between two deliveries: nothing is lost or comes twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import pyarrow as pa

from stellarrow.analysis.reads.figure_tail import FiguresTail
from stellarrow.analysis.reads.figures import KeptFigures
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.refusals import NotFound
from stellarrow.analysis.reads.tailing import Part, Tail
from stellarrow.analysis.request import FiguresRequest
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.extras import needing
from stellarrow.ledgers import LAST_POSSIBLE

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool

_RETRY_SECONDS: Final = 1.0
_HELD_BYTES: Final = 256 << 10  # encoded for a listener that catches up, and waiting for it
_PACE_SECONDS: Final = 0.025  # between two deliveries: what comes faster than that comes together
_LEDGERS: Final = 16  # that it reads at first at once; more where they have little
_log: Final = logging.getLogger(__name__)

Encode = Callable[[Part], bytes]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A part, without its rows, as they stand encoded in `body`; and the token behind it.

    `frames` are what listeners made of it, for those who would make the same; `at` is by time.monotonic().
    """

    part: Part
    body: bytes
    resume: str
    counted: int = 1  # of figures: by which count
    at: float = field(default_factory=time.monotonic, compare=False)
    frames: dict[tuple[str, int], bytes] = field(default_factory=dict, compare=False, repr=False)


class Listener(Protocol):
    """Takes what a channel delivers, at once and in the event loop."""

    def deliver(self, delivery: Delivery) -> None:
        """Take it; who cannot leaves the channel."""

    def fail(self, error: StellarrowError) -> None:
        """Learn that nothing more will come, and why."""


class Following(Protocol):
    """What a channel follows: rows of a table, or figures."""

    schema: pa.Schema

    def last(self) -> int:
        """Return the last ledger there is."""

    def times_counted(self) -> int:
        """Return how often what it has was counted from the beginning."""

    def recount(self) -> Part | None:
        """Return all that there is, after it was counted again."""

    def place(self, origin: str) -> int:
        """Return the ledger that an answer begins behind."""

    def token(self, after: int) -> str:
        """Return what goes on behind a ledger."""

    def recovers(self, after: int) -> bool:
        """Tell whether what follows a ledger goes on without a gap."""

    def parts(self, after: int, *, until: int = LAST_POSSIBLE) -> Iterator[Part]:
        """Yield what is here behind a ledger."""

    def gap(self, first: int, last: int) -> Part:
        """Return what tells of ledgers that are not here any more."""

    def for_json(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows as JSON has them."""


class Channel:
    """One question in one format, at the live edge."""

    def __init__(self, tail: Following, encode: Encode, apart: Executor | None = None) -> None:
        self.tail = tail
        self.counted = tail.times_counted()  # before the position: what is counted meanwhile comes again
        self.position = tail.place("latest")
        self._encode = encode
        self._apart = apart  # a thread of its own: no request can keep the live edge waiting
        self._members: dict[int, Listener] = {}
        self._moved = asyncio.Event()
        self._failure: StellarrowError | None = None
        self.due_at = 0.0  # by the loop's clock: nothing is delivered before
        self.timer: asyncio.TimerHandle | None = None
        self.users = 0

    async def advance(self) -> None:
        """Deliver what has come."""
        loop = asyncio.get_running_loop()
        if self.tail.times_counted() != self.counted and (made := await self.recounted()):
            self.counted = made.counted
            self._deliver(made)
        is_all = self.tail.last() <= self.position
        while self._failure is None and not is_all:
            found, is_all = await loop.run_in_executor(self._apart, self._some, self.position, LAST_POSSIBLE)
            for made in found:
                self._deliver(made)
                self.due_at = loop.time() + _PACE_SECONDS
                await asyncio.sleep(0)  # what clients say is heard meanwhile

    async def recounted(self) -> Delivery | None:
        """Return all that there is, as it was counted last."""
        return await asyncio.get_running_loop().run_in_executor(self._apart, self._whole)

    def _whole(self) -> Delivery | None:
        counted = self.tail.times_counted()
        part = self.tail.recount()
        return None if part is None else self._made(part, counted)

    def _deliver(self, made: Delivery) -> None:
        self.position = made.part.last
        self._wake()
        for member in [*self._members.values()]:
            member.deliver(made)

    def fail(self, error: StellarrowError) -> None:
        """End it, as its question cannot be answered: whoever listens, or comes to, is told."""
        self._failure = error
        self._wake()
        members, self._members = [*self._members.values()], {}
        for member in members:
            member.fail(error)

    def _wake(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def join(self, listener: Listener, position: int) -> bool:
        """Take a listener in that is exactly where the channel is."""
        self._check()
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
        """Yield what lies between a position and the channel's, encoded for one listener alone.

        While the listener takes its time, no rows are held for it, only what is encoded: some ledgers.
        """
        ledgers = _LEDGERS
        while position < self.position:
            until = min(self.position, position + ledgers)
            found, is_all = await run_in_threadpool(self._some, position, until)
            if found and found[-1].part.is_gap and is_all and until < self.position:
                found.pop()  # it may go on behind these ledgers: it is told whole
            for made in found:
                position = made.part.last
                yield made
            if not found and until == self.position:
                gone = self.tail.gap(position + 1, until)  # it had them, and nothing newer is here
                yield Delivery(gone, b"", self.tail.token(until))
                position = until
            # Where nothing was found, a hole begins here: what is behind it tells how far it goes.
            ledgers = min(LAST_POSSIBLE, ledgers * 2) if is_all else max(1, ledgers // 2)

    async def moves(self, within: float) -> bool:
        """Tell whether the channel has gone on within some seconds; raise why it cannot."""
        self._check()
        try:
            await asyncio.wait_for(self._moved.wait(), within)
        except TimeoutError:
            return False
        self._check()
        return True

    def _check(self) -> None:
        if self._failure:
            raise self._failure

    def _some(self, position: int, until: int) -> tuple[list[Delivery], bool]:
        """Return deliveries of some ledgers, and whether there were no more of them."""
        found: list[Delivery] = []
        held = 0
        parts = self.tail.parts(position, until=until)
        while held < _HELD_BYTES:
            made = self._next(parts)
            if made is None:
                return found, True
            found.append(made)
            held += len(made.body)
        return found, False

    def _next(self, parts: Iterator[Part]) -> Delivery | None:
        counted = self.tail.times_counted()
        part = next(parts, None)
        return None if part is None else self._made(part, counted)

    def _made(self, part: Part, counted: int) -> Delivery:
        body = self._encode(part) if part.rows is not None else b""
        return Delivery(replace(part, rows=None), body, self.tail.token(part.last), counted)


class Channels:
    """The channels that somebody listens to, and what moves them; all in one event loop."""

    def __init__(self, tables: Tables, figures: KeptFigures | None = None) -> None:
        self.tables = tables
        self._figures = figures
        self._channels: dict[tuple[str, tuple[str, ...], str], Channel] = {}
        self._apart = ThreadPoolExecutor(1, thread_name_prefix="stellarrow-live")
        self._task: asyncio.Task[None] | None = None
        self._will_look = False  # whether what comes now is looked at anyway

    def open(
        self, question: Question | FiguresRequest, format_name: str, encode: Callable[[Following], Encode]
    ) -> Channel:
        """Return the channel of a question, made for the first who listens."""
        columns: tuple[str, ...]
        if isinstance(question, FiguresRequest):
            asked, columns = question.ticket().decode(), ()
        else:
            asked, columns = question.shape, question.columns
        key = (asked, columns, format_name)
        channel = self._channels.get(key)
        if channel is None:
            tail = self._tail(question)
            channel = self._channels[key] = Channel(tail, encode(tail), self._apart)
        channel.users += 1
        self._will_look = False  # it has no timer yet
        self._begin()
        return channel

    def _tail(self, question: Question | FiguresRequest) -> Following:
        if isinstance(question, Question):
            return Tail(self.tables, question)
        if self._figures is None:
            raise NotFound("there are no figures here: name a table", field="channel")
        return FiguresTail(self._figures, question)

    def release(self, channel: Channel) -> None:
        """Let go of a channel, which ends with its last listener."""
        channel.users -= 1
        if channel.users <= 0:
            self._channels = {key: one for key, one in self._channels.items() if one is not channel}

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(asyncio.Event()))

    async def _run(self, changed: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()

        def tell() -> None:
            if not self._will_look:
                self._will_look = True
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(changed.set)

        ends = [self.tables.listen(tell)]
        if self._figures is not None:
            ends.append(self._figures.listen(tell))
        try:
            while self._channels:
                self._will_look = False  # before it looks: what comes meanwhile is looked at again
                for channel in [*self._channels.values()]:
                    if channel.due_at <= loop.time():
                        await self._advance(channel, loop, changed)
                    elif channel.timer is None:
                        channel.timer = loop.call_at(channel.due_at, self._is_due, channel, changed)
                if self._channels and all(one.timer for one in self._channels.values()):
                    self._will_look = True  # when the first of them is due
                await changed.wait()
                changed.clear()
        finally:
            for unlisten in ends:
                unlisten()

    @staticmethod
    def _is_due(channel: Channel, changed: asyncio.Event) -> None:
        channel.timer = None
        changed.set()

    async def _advance(
        self, channel: Channel, loop: asyncio.AbstractEventLoop, changed: asyncio.Event
    ) -> None:
        """Let a channel go on; one that cannot holds up no other."""
        try:
            await channel.advance()
        except Unavailable as error:
            _log.warning("%s; trying again", error)
            channel.due_at = loop.time() + _RETRY_SECONDS
            loop.call_later(_RETRY_SECONDS, changed.set)
        except StellarrowError as error:
            self._end(channel, error)
        except Exception:
            _log.exception("unexpected error in a channel")
            self._end(channel, StellarrowError("an unexpected error: the log has more"))

    def _end(self, channel: Channel, error: StellarrowError) -> None:
        """Tell who listens, and let the next who asks the same begin anew."""
        self._channels = {key: one for key, one in self._channels.items() if one is not channel}
        channel.fail(error)
