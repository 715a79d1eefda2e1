"""How many ranges are decoded at once, and who gives way when more are asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import Unavailable

_POLL_SECONDS: Final = 0.25  # seconds between looks whether the reader is still there
_WAIT_SECONDS: Final = 30.0  # for a slot
_PATIENCE: Final = 10.0  # seconds, where the settings say nothing


@dataclass(slots=True, eq=False)
class RangeSlot:
    """One reader's. It is taken away from who took nothing for too long, when another one waits."""

    name: str
    close: Callable[[], None]
    handed: float | None = None  # when a batch was handed over that is not taken yet, by the monotonic clock
    is_lost: bool = False

    def hand(self) -> None:
        self.handed = time.monotonic()

    def took(self) -> None:
        """Note that the reader goes on; Unavailable where that is too late."""
        self.handed = None
        if self.is_lost:
            raise Unavailable(
                "nothing was taken of this range for too long, and others waited: read on from the last"
                " resume"
            )

    def idle(self) -> float:
        """Return for how many seconds the reader has taken nothing that was there."""
        handed = self.handed
        return 0.0 if handed is None else time.monotonic() - handed


class RangeSlots:
    """Slots for ranges; any number of threads may ask. `patience` is in seconds."""

    def __init__(self, count: int, *, patience: float | None) -> None:
        self.count = count
        self.patience = _PATIENCE if patience is None else patience
        self.waiting = 0
        self._held: list[RangeSlot] = []
        self._changed = threading.Condition()

    @contextmanager
    def slot(
        self, name: str, *, close: Callable[[], None], gives_up: Callable[[], bool]
    ) -> Iterator[RangeSlot]:
        """Hold a slot, once there is one; `close` is called if it is taken away."""
        slot = RangeSlot(name, close)
        self._take(slot, gives_up)
        try:
            yield slot
        finally:
            with self._changed:
                if slot in self._held:
                    self._held.remove(slot)
                self._changed.notify_all()

    @property
    def held(self) -> list[RangeSlot]:
        with self._changed:
            return list(self._held)

    @property
    def idle(self) -> list[RangeSlot]:
        """The slots of readers that have taken nothing for too long."""
        return [slot for slot in self.held if slot.idle() >= self.patience]

    def _take(self, slot: RangeSlot, gives_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        lost = None
        with self._changed:
            self.waiting += 1
            try:
                while len(self._held) >= self.count and (lost := self._taken_away()) is None:
                    if gives_up() or time.monotonic() > deadline:
                        raise Unavailable(
                            f"{self.count} ranges are being decoded, and no more fit into the memory: try"
                            " again later"
                        )
                    self._changed.wait(_POLL_SECONDS)
                self._held.append(slot)
            finally:
                self.waiting -= 1
        if lost:
            lost.close()

    def _taken_away(self) -> RangeSlot | None:
        """Take a slot away from who was idle for the longest, if that is too long."""
        slot = max(self._held, key=RangeSlot.idle)
        if slot.idle() < self.patience:
            return None
        slot.is_lost = True
        self._held.remove(slot)
        return slot
