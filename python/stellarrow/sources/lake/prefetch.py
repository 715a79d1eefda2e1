"""Fetch ahead: as many requests at once as hide the latency, no more bytes than the budget, in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")

_FIRST_GUESS: Final = 256 << 10  # bytes of an object before one was seen
_WINDOW: Final = 0.05  # seconds between two looks at how it goes, at least
_ROUNDS: Final = 3  # and as many times what a request takes, to see what the last change did
_STARVED: Final = 0.1  # share of a window: who waits longer wants more fetchers
_HUNGRY: Final = 0.5  # who waits longer than this wants many more
_GAIN: Final = 1.15  # more fetchers must bring so much more
_PATIENCE: Final = 10  # windows to leave a number alone that more did not improve on
_CALM: Final = 20  # windows without waiting after which one fetcher less may do
_WAKE_SECONDS: Final = 0.2  # how soon a stop is noticed
_GRACE_SECONDS: Final = 1.0  # how long the end waits for requests under way


class Tuning:
    """How many fetchers: latency times throughput, found by trying."""

    def __init__(self, most: int, *, fixed: int | None = None) -> None:
        self.now = fixed or min(4, most)
        self._most = fixed or most
        self._least = fixed or 1
        self._before: tuple[int, float] | None = None  # fetchers and bytes a second before the last step up
        self._rest = 0
        self._calm = 0

    def judge(self, rate: float, starved: float) -> None:
        """Take in a window: bytes a second, and which share of it the reader waited."""
        if starved <= _STARVED:
            self._before = None
            self._calm += 1
            if self._calm >= _CALM:
                self.now, self._calm = max(self._least, self.now - 1), 0
            return
        self._calm = 0
        if self._before and rate < self._before[1] * _GAIN:
            self.now, self._before, self._rest = self._before[0], None, _PATIENCE
        elif self._rest > 0:
            self._rest -= 1
        elif self.now < self._most:
            self._before = self.now, rate
            self.now = min(self._most, self.now * (4 if starved > _HUNGRY else 2))


def fetched(
    keys: Iterable[Key],
    fetch: Callable[[Key], bytes | None],
    *,
    tuning: Tuning,
    budget: int,
    stop: threading.Event,
) -> Generator[tuple[Key, bytes | None]]:
    """Yield each key with what was fetched, in the order of the keys, ahead of the reader.

    What was not yet taken weighs at most `budget` bytes; an object heavier than that travels alone. Nothing
    is fetched beyond a key that has nothing or fails; an error is raised in its turn. It ends once `stop` is
    set.
    """
    flow = _Flow(keys, fetch, tuning, budget, stop)
    try:
        while (slot := flow.take()) is not None:
            if slot.error is not None:
                raise slot.error
            yield slot.key, slot.data
            del slot  # or its bytes would live until the next ones are there
    finally:
        flow.end()


class _Slot(Generic[Key]):
    """One key's place in the order, and what came of it."""

    __slots__ = ("data", "done", "error", "key", "weight")

    def __init__(self, key: Key, weight: int) -> None:
        self.key = key
        self.weight = weight  # a guess until it is done
        self.done = False
        self.data: bytes | None = None
        self.error: BaseException | None = None


class _Flow(Generic[Key]):
    """What fetchers and the reader share, under one lock."""

    def __init__(
        self,
        keys: Iterable[Key],
        fetch: Callable[[Key], bytes | None],
        tuning: Tuning,
        budget: int,
        stop: threading.Event,
    ) -> None:
        self._keys = iter(keys)
        self._fetch = fetch
        self._tuning = tuning
        self._budget = budget
        self._stop = stop
        lock = threading.Lock()
        self._room = threading.Condition(lock)
        self._ready = threading.Condition(lock)
        self._order: deque[_Slot[Key]] = deque()
        self._threads: list[threading.Thread] = []
        self._weight = 0
        self._guess = _FIRST_GUESS
        self._ended = False
        self._took = 0.0  # seconds a request, lately
        self._window = _Window()

    def take(self) -> _Slot[Key] | None:
        """Wait for the next object in order; None after the last, or when stopped."""
        with self._room:
            self._hire()
            began = time.monotonic()
            while not (self._order and self._order[0].done):
                if self._stop.is_set() or (self._ended and not self._order):
                    return None
                self._ready.wait(_WAKE_SECONDS)
            slot = self._order.popleft()
            self._weight -= slot.weight
            self._window.add(slot.weight, time.monotonic() - began)
            if self._window.age >= max(_WINDOW, _ROUNDS * self._took):
                self._tuning.judge(self._window.rate, self._window.starved)
                self._window = _Window()
            self._room.notify()
            return slot

    def _hire(self) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(0 if self._ended else self._tuning.now - len(self._threads)):
            thread = threading.Thread(target=self._labour, name="stellarrow-fetch", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _labour(self) -> None:
        """Fetch one object after another, until there is no more to do or fewer hands are enough."""
        while (slot := self._next()) is not None:
            began = time.monotonic()
            try:
                slot.data = self._fetch(slot.key)
            except BaseException as error:
                slot.error = error
            self._done(slot, time.monotonic() - began)
            del slot

    def _next(self) -> _Slot[Key] | None:
        with self._room:
            while self._order and self._weight + self._guess > self._budget and not self._ended:
                self._room.wait()
            if self._ended or len(self._threads) > self._tuning.now:
                self._leave()
                return None
            try:
                slot = _Slot(next(self._keys), self._guess)
            except StopIteration:
                self._finish()
                return None
            self._weight += slot.weight
            self._order.append(slot)
            return slot

    def _leave(self) -> None:
        me = threading.current_thread()
        self._threads = [thread for thread in self._threads if thread is not me]
        self._room.notify()

    def _done(self, slot: _Slot[Key], took: float) -> None:
        with self._room:
            self._took += (took - self._took) / 4
            weight = len(slot.data or b"")
            self._weight += weight - slot.weight
            if weight:
                self._guess = (3 * self._guess + weight) // 4
            slot.weight = weight
            slot.done = True
            if slot.data is None:
                self._finish()
            if self._order and self._order[0] is slot:
                self._ready.notify()
            self._room.notify()

    def _finish(self) -> None:
        self._ended = True
        self._room.notify_all()
        self._ready.notify()

    def end(self) -> None:
        with self._room:
            self._finish()
            threads = self._threads
        deadline = time.monotonic() + _GRACE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


class _Window:
    """A stretch of time, and how the reader fared in it."""

    __slots__ = ("_began", "_bytes", "_waited")

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bytes = 0
        self._waited = 0.0

    def add(self, weight: int, waited: float) -> None:
        self._bytes += weight
        self._waited += waited

    @property
    def age(self) -> float:
        return time.monotonic() - self._began

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self._bytes / self.age

    @property
    def starved(self) -> float:
        """The share of the time that the reader waited."""
        return self._waited / self.age
