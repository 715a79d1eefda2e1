"""Ordered, bounded, parallel map: all the concurrency of the pipeline."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# How long close() waits for a reader that sits in a system call, such as a pipe nobody writes to.
_GRACE_SECONDS: Final = 1.0


class Ordered(Generic[Result]):
    """Results in the order of their items, computed ahead; closing it, or its end, stops the threads."""

    def __init__(self, flow: _Flow[Any, Result], threads: Sequence[threading.Thread]) -> None:
        self._flow = flow
        self._threads = threads
        for thread in threads:
            thread.start()

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        slot = self._flow.take()
        if slot is None or slot.error is not None:
            self.close()
        if slot is None:
            raise StopIteration
        if slot.error is not None:
            raise slot.error
        return slot.result

    def ready(self, within: float) -> bool:
        """Tell whether next() would return or raise at once, after waiting so many seconds for it."""
        return self._flow.ready(within)

    def close(self) -> None:
        """Let the threads go; twice is harmless."""
        self._flow.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_GRACE_SECONDS)


def ordered(
    items: Iterable[Item],
    work: Callable[..., Result],
    *,
    workers: int,
    budget: int,
    cost: Callable[[Item], int],
    joins: Callable[[Sequence[Item], Item], bool] | None = None,
) -> Ordered[Result]:
    """Return work(item) for every item, in their order, computed ahead on threads.

    Items whose results were not yet taken cost at most `budget` together; a dearer one travels alone, and
    one more waits at the door. An error of `items` or `work` is raised in its turn, after everything before
    it. Where `joins` says of items that the one waiting behind them goes with them, they are worked off at
    once, as work(item, *others), and have one result.
    """
    flow = _Flow[Item, Result](work, budget, cost, joins)
    threads = [threading.Thread(target=flow.feed, args=(items,), name="stellarrow-feed", daemon=True)]
    threads += [
        threading.Thread(target=flow.labour, name=f"stellarrow-work-{number}", daemon=True)
        for number in range(max(1, workers))
    ]
    return Ordered(flow, threads)


class _Slot(Generic[Item, Result]):
    """One item's place in the order, and what became of it; one that is `joined` has no result of its own."""

    __slots__ = ("cost", "done", "error", "item", "joined", "result")

    item: Item
    result: Result

    def __init__(self, cost: int) -> None:
        self.cost = cost
        self.done = self.joined = False
        self.error: BaseException | None = None


class _Flow(Generic[Item, Result]):
    """What the feeder, the workers and the consumer share, under one lock."""

    def __init__(
        self,
        work: Callable[..., Result],
        budget: int,
        cost: Callable[[Item], int],
        joins: Callable[[Sequence[Item], Item], bool] | None,
    ) -> None:
        self._work = work
        self._joins = joins
        self._budget = budget
        self._cost = cost
        lock = threading.RLock()
        # Who waits for what: each is woken for that alone, as waking takes the interpreter away from others.
        self._room = threading.Condition(lock)  # the feeder
        self._work_there = threading.Condition(lock)  # the workers
        self._first_done = threading.Condition(lock)  # the consumer
        self._order: deque[_Slot[Item, Result]] = deque()
        self._waiting: deque[_Slot[Item, Result]] = deque()
        self._in_flight = 0
        self._fed = False
        self._stopped = False

    def feed(self, items: Iterable[Item]) -> None:
        """Take items in as the budget allows, until they end, fail or nobody wants more."""
        source = iter(items)
        try:
            for item in source:
                if not self._admit(item):
                    break
                del item
        except BaseException as error:
            self._append(_failed(error))
        finally:
            self._close(source)
            with self._work_there:
                self._fed = True
                self._work_there.notify_all()
                self._first_done.notify_all()

    def _admit(self, item: Item) -> bool:
        slot = _Slot[Item, Result](self._cost(item))
        slot.item = item
        with self._room:
            while self._in_flight and self._in_flight + slot.cost > self._budget and not self._stopped:
                self._room.wait()
            if self._stopped:
                return False
            self._in_flight += slot.cost
            self._waiting.append(slot)
            self._order.append(slot)
            self._work_there.notify()
        return True

    def _append(self, slot: _Slot[Item, Result]) -> None:
        with self._first_done:
            self._order.append(slot)
            self._first_done.notify_all()

    def _close(self, source: Iterator[Item]) -> None:
        """Close a generator here: while it runs, no other thread may."""
        close = getattr(source, "close", None)
        if close is None:
            return
        try:
            close()
        except BaseException as error:
            self._append(_failed(error))

    def labour(self) -> None:
        """Work slots off until there will be no more."""
        while True:
            with self._work_there:
                while not self._waiting and not self._fed and not self._stopped:
                    self._work_there.wait()
                if self._stopped or not self._waiting:
                    return
                slot = self._waiting.popleft()
                items = self._joined(slot)
            try:
                slot.result = self._work(*items)
            except BaseException as error:
                slot.error = error
            del slot.item, items
            with self._first_done:
                slot.done = True
                if self._order and self._order[0] is slot:
                    self._first_done.notify_all()
            del slot

    def _joined(self, slot: _Slot[Item, Result]) -> list[Item]:
        """Return the item of a slot, and those that go with it."""
        items = [slot.item]
        while self._joins and self._waiting and self._joins(items, self._waiting[0].item):
            other = self._waiting.popleft()
            items.append(other.item)
            del other.item
            slot.cost, other.cost, other.joined = slot.cost + other.cost, 0, True
        return items

    def take(self) -> _Slot[Item, Result] | None:
        """Wait for the next result in order; None after the last."""
        with self._first_done:
            self._first_done.wait_for(self._is_ready)
            if self._stopped or not self._order:
                return None
            slot = self._order.popleft()
            while self._order and self._order[0].joined:
                self._order.popleft()
            self._in_flight -= slot.cost
            self._room.notify()
            return slot

    def ready(self, within: float) -> bool:
        with self._first_done:
            return self._first_done.wait_for(self._is_ready, within)

    def _is_ready(self) -> bool:
        return self._stopped or (self._order[0].done if self._order else self._fed)

    def stop(self) -> None:
        with self._room:
            self._stopped = True
            self._waiting.clear()
            for waited in (self._room, self._work_there, self._first_done):
                waited.notify_all()


def _failed(error: BaseException) -> _Slot[Item, Result]:
    slot = _Slot[Item, Result](0)
    slot.error, slot.done = error, True
    return slot
