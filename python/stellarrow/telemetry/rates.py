"""What happened lately: how fast, how long."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

_KEPT: Final = 1_024  # measurements that a percentile is of
_WINDOW: Final = 10.0  # seconds that a rate is of


class Recent:
    """The last measurements."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=_KEPT)

    def add(self, value: float) -> None:
        self._kept.append(value)

    def percentile(self, share: float) -> float:
        """Return the value that `share` of the measurements do not exceed, 0 before the first."""
        held = sorted(self._kept.copy())
        return held[min(len(held) - 1, int(len(held) * share))] if held else 0.0


class Rate:
    """How much a second, over the last ten; a pause lets it fall to 0."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._steps: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def add(self, amount: float) -> None:
        with self._lock:
            self._steps.append((time.monotonic(), amount))
            self._forget()

    @property
    def per_second(self) -> float:
        with self._lock:
            self._forget()
            window = min(_WINDOW, max(time.monotonic() - self._began, 0.1))
            return sum(amount for _, amount in self._steps) / window

    def _forget(self) -> None:
        while self._steps and self._steps[0][0] < time.monotonic() - _WINDOW:
            self._steps.popleft()
