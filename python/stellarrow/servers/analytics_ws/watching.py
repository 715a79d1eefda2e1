"""One task that looks at every connection now and then: a task for each would cost more than their rows."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final, Protocol

_TICK_SECONDS: Final = 0.5
_log: Final = logging.getLogger(__name__)


class Watched(Protocol):
    """A connection that may have to end."""

    def look(self, now: float) -> None:
        """Look whether it may go on; `now` is by time.monotonic()."""


class Watch:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self._watched: dict[int, Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, one: Watched) -> None:
        self._watched[id(one)] = one
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, one: Watched) -> None:
        self._watched.pop(id(one), None)

    async def _run(self) -> None:
        while self._watched:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            for one in [*self._watched.values()]:
                try:
                    one.look(now)
                except Exception:
                    _log.exception("unexpected error at a look at a connection")
