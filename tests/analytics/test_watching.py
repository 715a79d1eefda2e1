"""Connections are looked at now and then, all by one task."""

from __future__ import annotations

import asyncio

from stellarrow.servers.analytics_ws.watching import Watch


class One:
    """A connection that counts, and raises where it is told to."""

    def __init__(self, watch: Watch, *, fails: bool = False) -> None:
        self.looks = 0
        self._watch = watch
        self._fails = fails

    def look(self, now: float) -> None:
        assert now > 0
        self.looks += 1
        if self.looks == 2:
            self._watch.remove(self)
        if self._fails:
            raise RuntimeError("a fault of its own")


def test_a_look_that_fails_keeps_no_other_from_being_looked_at_again() -> None:
    async def looked() -> list[int]:
        watch = Watch()
        held = [One(watch, fails=True), One(watch), One(watch)]
        for one in held:
            watch.add(one)
        async with asyncio.timeout(60):
            while held[-1].looks < 2:
                await asyncio.sleep(0.01)
        return [one.looks for one in held]

    assert asyncio.run(looked()) == [2, 2, 2]
