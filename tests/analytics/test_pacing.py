"""What comes faster than a channel delivers comes together: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import stellarrow as sa
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.core.rows import no_rows
from stellarrow.errors import StellarrowError
from stellarrow.ledgers import LedgerRange
from stellarrow.servers import analytics_live
from stellarrow.servers.analytics_live import Channels, Delivery
from stellarrow.servers.analytics_ws.encoding import encoder

TABLE = "token_transfers"
SECONDS = 60.0  # that a slow machine may take


def added(tables: Tables, *ledgers: int) -> None:
    for ledger in ledgers:
        tables.add(TABLE, LedgerRange(ledger, ledger), no_rows(sa.schema(TABLE)))


class Listening:
    """Notes what is delivered."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []
        self.come = asyncio.Event()

    def deliver(self, delivery: Delivery) -> None:
        self.parts.append((delivery.part.first, delivery.part.last))
        self.come.set()

    def fail(self, error: StellarrowError) -> None:
        raise error

    async def until(self, is_met: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not is_met():
                self.come.clear()
                await self.come.wait()


def test_ledgers_that_come_before_the_next_delivery_is_due_come_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(analytics_live, "_PACE_SECONDS", 3_600.0)

    async def listened() -> list[tuple[int, int]]:
        tables = Tables([TABLE], hot=Hot([TABLE], most_bytes=1 << 20), stored=None, network=None)
        added(tables, 1)
        channels, listener = Channels(tables), Listening()
        channel = channels.open(Question(table=TABLE), "json", encoder("json"))
        assert channel.join(listener, 1)
        added(tables, 2)
        await listener.until(lambda: bool(listener.parts))
        added(tables, 3)
        async with asyncio.timeout(SECONDS):
            while channel.timer is None:  # until it has seen that there is more
                await asyncio.sleep(0.01)
        added(tables, 4, 5)
        await asyncio.sleep(0.01)
        assert listener.parts == [(2, 2)]
        channel.timer.cancel()
        channel.timer, channel.due_at, channels._will_look = None, 0.0, False
        tables.changed()
        await listener.until(lambda: listener.parts[-1][1] == 5)
        channels.release(channel)
        return listener.parts

    assert asyncio.run(listened()) == [(2, 2), (3, 5)]


def test_who_comes_after_the_last_has_left_is_told_what_comes() -> None:
    async def listened() -> list[tuple[int, int]]:
        tables = Tables([TABLE], hot=Hot([TABLE], most_bytes=1 << 20), stored=None, network=None)
        added(tables, 1)
        channels, told = Channels(tables), Listening()
        for first in (2, 5):
            channel, told = channels.open(Question(table=TABLE), "json", encoder("json")), Listening()
            assert channel.join(told, first - 1)
            added(tables, first)
            await told.until(lambda told=told: bool(told.parts))  # type: ignore[misc]  # its default is a Listening
            added(tables, first + 1)
            await told.until(lambda told=told, last=first + 1: told.parts[-1][1] == last)  # type: ignore[misc]  # as above
            channels.release(channel)
            added(tables, first + 2)
            await asyncio.sleep(0.05)  # it may have looked, and found nobody
        return told.parts

    assert asyncio.run(listened()) == [(5, 5), (6, 6)]
