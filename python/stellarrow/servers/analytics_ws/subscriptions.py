"""One subscription of a connection: what it missed, then what comes, at the pace that its client allows."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from stellarrow.errors import StellarrowError
from stellarrow.servers.analytics_live import Channel, Channels, Delivery
from stellarrow.servers.analytics_ws.encoding import frames_of, message
from stellarrow.servers.analytics_ws.frames import SocketProtocol
from stellarrow.servers.analytics_ws.limits import BEHIND_BYTES
from stellarrow.servers.analytics_ws.messages import Subscribe
from stellarrow.sinks.files.departures import Absence

_PROGRESS_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0
_WHY_NO_WINDOWS: Final = "windows of these ledgers are kept no more: ask SQL over the stored tables"
_WHY_SLOW: Final = "the client was too slow: ask for them again from an earlier resume, or over REST"


class Owner(Protocol):
    """The connection of a subscription."""

    socket: SocketProtocol

    def too_slow(self) -> None:
        """End the connection, with where to go on."""

    def failed(self, subscription: Subscription, error: StellarrowError) -> None:
        """Say why nothing more will come to a subscription, and end it."""


class Subscription:
    """Rows of a table for one client; `number` is what Arrow's frames begin with."""

    __slots__ = (
        *(
            "asked",
            "number",
            "position",
            "_counted",
            "_owner",
            "_socket",
            "_channels",
            "_channel",
            "_credit",
            "_key",
        ),
        *("_woken", "_failure", "_told", "_task"),
    )

    def __init__(
        self,
        owner: Owner,
        channels: Channels,
        channel: Channel,
        *,
        asked: Subscribe,
        number: int,
        position: int,
    ) -> None:
        self.asked = asked
        self.number = number
        self.position = position
        self._counted = channel.counted
        self._owner = owner
        self._socket = owner.socket
        self._channels = channels
        self._channel = channel
        self._credit = asked.credit
        self._key = (asked.id, number)
        self._woken: asyncio.Event | None = None
        self._failure: StellarrowError | None = None
        self._told = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._go_on()

    @property
    def resume(self) -> str:
        return self._channel.tail.token(self.position)

    def add_credit(self, count: int) -> None:
        if self._credit is not None:
            self._credit += count
            self._wake()

    def close(self) -> None:
        self._channel.leave(self)
        self._channels.release(self._channel)
        if self._task is not None:
            self._task.cancel()

    def deliver(self, delivery: Delivery) -> None:
        """Write what comes, unless the client is not ready for it."""
        if self._credit is not None:
            if self._credit <= 0:
                self._leave()
            else:
                self._write(delivery)
        elif not delivery.body:
            self._write(delivery)
        elif self._socket.write_unless_behind(self._framed(delivery), BEHIND_BYTES):
            self.position = delivery.part.last
            self._told = delivery.at
        elif self.asked.mode == "all":
            self._channel.leave(self)
            self._owner.too_slow()
        else:
            self._leave()

    def _framed(self, made: Delivery) -> bytes:
        """Return the frame of a delivery, made by the first who writes it."""
        frame = made.frames.get(self._key)
        if frame is None:
            frame = made.frames[self._key] = frames_of(made, *self._key, self.asked.format_name)
        return frame

    def _leave(self) -> None:
        """Let what comes go by, and read it later."""
        self._channel.leave(self)
        self._go_on()

    def fail(self, error: StellarrowError) -> None:
        self._failure = error
        self._wake()
        self._go_on()

    def _wake(self) -> None:
        if self._woken is not None:
            self._woken.set()

    def _go_on(self) -> None:
        """Do what it takes to come to where the channel is; a member of the channel needs no task."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._follow()
        except StellarrowError as error:
            self._owner.failed(self, error)

    async def _follow(self) -> None:
        while self._socket.is_open:
            if self._failure:
                raise self._failure
            if self.asked.mode == "latest" and self._socket.waiting > BEHIND_BYTES:
                await self._wait_until_sent()
                self._skip()
            await self._wait_for_credit()
            if self._counted != self._channel.counted and (made := await self._channel.recounted()):
                self._write(made)
            await self._catch_up()
            while self._socket.is_open and self._channel.position < self.position:
                await self._channel.moves(_LOOK_SECONDS)
            if self._credit is not None and self._credit <= 0:
                await self._wait_for_credit()
                continue
            if self._counted == self._channel.counted and self._channel.join(self, self.position):
                return

    async def _catch_up(self) -> None:
        """Write what lies between here and the channel, no faster than the client takes it."""
        await self._wait_for_credit()
        async for made in self._channel.history(self.position):
            await self._socket.writable.wait()
            await self._wait_for_credit()
            if not self._socket.is_open:
                return
            self._write(made)

    async def _wait_for_credit(self) -> None:
        while self._credit is not None and self._credit <= 0:
            self._woken = asyncio.Event()
            await self._woken.wait()
            self._woken = None

    async def _wait_until_sent(self) -> None:
        while self._socket.is_open and self._socket.waiting > BEHIND_BYTES // 4:
            await asyncio.sleep(0.05)

    def _skip(self) -> None:
        """Go on with the newest, and say what was left out."""
        first, last = self.position + 1, self._channel.position
        if first <= last:
            self.position = last
            self._gap(first, last, why=_WHY_SLOW)

    def _gap(self, first: int, last: int, **told: str) -> None:
        told_gap = {"id": self.asked.id, "first_ledger": first, "last_ledger": last, **told}
        self._socket.write_frame(message("gap", **told_gap))

    def _write(self, made: Delivery) -> None:
        self.position = made.part.last
        if made.part.is_recount:
            self._counted = made.counted
        elif not made.body:
            if made.part.is_gap:
                self._gap(made.part.first, made.part.last, **_went(made.part.absence))
                return
            if made.at - self._told < _PROGRESS_SECONDS:
                return
        self._told = made.at
        frame = self._framed(made)
        self._socket.write_frame(frame)
        if self._credit is not None:
            self._credit -= len(frame)


def _went(absence: Absence | None) -> dict[str, str]:
    if absence is None:
        return {"why": _WHY_NO_WINDOWS}
    where = {"archive": absence.archive} if absence.archive else {}
    return {"state": absence.state, **where, "why": absence.why}
