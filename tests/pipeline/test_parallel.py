from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellarrow.pipeline.parallel import ordered


class Watch:
    """Count what is at work, and remember the most there was."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0

    def add(self, amount: int) -> None:
        with self.lock:
            self.now += amount
            self.most = max(self.most, self.now)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 4), st.integers(1, 12))
def test_results_come_in_order_and_within_the_budget(costs: list[int], workers: int, budget: int) -> None:
    watch = Watch()

    def work(item: tuple[int, int]) -> tuple[int, int]:
        watch.add(item[1])
        return item

    results = ordered(enumerate(costs), work, workers=workers, budget=budget, cost=lambda item: item[1])
    seen = []
    for item in results:
        watch.add(-item[1])
        seen.append(item)
    assert seen == list(enumerate(costs))
    # What was yielded but not yet counted down here may still be on the books.
    assert watch.most <= max([budget, *costs]) + max([0, *costs])


@given(st.integers(0, 30), st.integers(1, 4))
def test_an_error_of_the_work_comes_in_its_turn(at: int, workers: int) -> None:
    def work(item: int) -> int:
        if item >= at:
            raise LookupError(item)
        return item

    results = ordered(range(at + 20), work, workers=workers, budget=10, cost=lambda _: 1)
    assert [next(results) for _ in range(at)] == list(range(at))
    with pytest.raises(LookupError, match=str(at)):
        next(results)


@given(st.integers(0, 30), st.integers(1, 4))
def test_an_error_of_the_items_comes_after_all_before_it(at: int, workers: int) -> None:
    def items() -> Iterator[int]:
        yield from range(at)
        raise LookupError

    results = ordered(items(), lambda item: item, workers=workers, budget=5, cost=lambda _: 1)
    assert [next(results) for _ in range(at)] == list(range(at))
    with pytest.raises(LookupError):
        next(results)


def test_workers_work_at_once() -> None:
    together = threading.Barrier(3, timeout=10)
    results = ordered(range(3), lambda _: together.wait() >= 0, workers=3, budget=3, cost=lambda _: 1)
    assert list(results) == [True, True, True]


def test_items_are_taken_only_as_results_leave() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = ordered(items(), lambda item: item, workers=2, budget=4, cost=lambda _: 1)
    next(results)
    time.sleep(0.1)
    assert len(taken) <= 6  # one yielded, four in flight, one at the door
    results.close()


def test_closing_stops_the_threads_and_closes_the_items() -> None:
    closed = threading.Event()
    taken: list[int] = []

    def items() -> Iterator[int]:
        try:
            for item in range(1_000_000):
                taken.append(item)
                yield item
        finally:
            closed.set()

    before = threading.enumerate()  # others of these may end meanwhile
    results = ordered(items(), lambda item: item, workers=2, budget=4, cost=lambda _: 1)
    next(results)
    results.close()
    assert closed.wait(20)
    for thread in set(threading.enumerate()) - set(before):
        thread.join(20)
        assert not thread.is_alive()
    assert len(taken) < 10


def test_closing_does_not_wait_for_a_source_that_sleeps() -> None:
    wake = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        wake.wait(30)

    results = ordered(items(), lambda item: item, workers=1, budget=4, cost=lambda _: 1)
    next(results)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 5
    wake.set()


def test_nothing_in_is_nothing_out() -> None:
    assert list(ordered([], str, workers=2, budget=1, cost=lambda _: 1)) == []


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 4), st.integers(1, 20))
def test_items_that_go_together_have_one_result_in_their_turn(
    costs: list[int], workers: int, budget: int
) -> None:
    def work(*items: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        return items

    results = ordered(
        enumerate(costs),
        work,
        workers=workers,
        budget=budget,
        cost=lambda item: item[1],
        joins=lambda taken, _: len(taken) < 3,
    )
    found = list(results)
    assert [item for items in found for item in items] == list(enumerate(costs))
    assert all(len(items) <= 3 for items in found)


def test_what_waits_is_worked_off_at_once_and_fails_at_once() -> None:
    fed = threading.Event()

    def items() -> Iterator[int]:
        yield from range(6)
        fed.set()

    def work(*taken: int) -> tuple[int, ...]:
        assert fed.wait(60)
        if 4 in taken:
            raise LookupError(taken)
        return taken

    results = ordered(
        items(), work, workers=1, budget=9, cost=lambda _: 1, joins=lambda taken, _: len(taken) < 2
    )
    seen: list[int] = []
    with pytest.raises(LookupError, match="4"):
        seen.extend(item for done in results for item in done)
    assert seen == list(range(len(seen)))
    assert len(seen) in (3, 4)  # the first may have been alone when it was taken
