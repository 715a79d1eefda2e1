from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing

import pytest

from stellarrow.sources.lake.prefetch import Tuning, fetched


def ahead(
    keys: Iterable[int],
    fetch: Callable[[int], bytes | None],
    *,
    budget: int = 1 << 30,
    tuning: Tuning | None = None,
    stop: threading.Event | None = None,
) -> Iterable[tuple[int, bytes | None]]:
    return fetched(keys, fetch, tuning=tuning or Tuning(16), budget=budget, stop=stop or threading.Event())


def test_objects_come_in_the_order_of_their_keys() -> None:
    def fetch(key: int) -> bytes:
        time.sleep(0.003 * (key % 3))
        return b"%d" % key

    assert list(ahead(range(60), fetch)) == [(key, b"%d" % key) for key in range(60)]


def test_no_keys_make_no_objects() -> None:
    assert list(ahead([], lambda _: b"")) == []


def test_nothing_is_fetched_beyond_what_is_not_there() -> None:
    asked: list[int] = []

    def fetch(key: int) -> bytes | None:
        asked.append(key)
        return b"x" if key < 10 else None

    found = list(ahead(itertools.count(), fetch))
    assert found[:10] == [(key, b"x") for key in range(10)]
    assert found[10] == (10, None)
    assert max(asked) < 30


def test_an_error_is_raised_in_its_turn() -> None:
    def fetch(key: int) -> bytes:
        if key == 7:
            raise OSError("no")
        return b"x"

    found = iter(ahead(itertools.count(), fetch))
    assert [key for key, _ in itertools.islice(found, 7)] == list(range(7))
    with pytest.raises(OSError, match="no"):
        next(found)


def test_what_is_not_taken_weighs_no_more_than_the_budget() -> None:
    lock = threading.Lock()
    fetched_bytes, most = 0, 0

    def fetch(_: int) -> bytes:
        nonlocal fetched_bytes
        with lock:
            fetched_bytes += 100_000
        return bytes(100_000)

    taken = 0
    for _, data in ahead(range(200), fetch, budget=1_000_000):
        time.sleep(0.001)
        most = max(most, fetched_bytes - taken)
        taken += len(data or b"")
    # Until the size is known it is guessed.
    assert most <= 1_000_000 + 100_000


def test_an_object_heavier_than_the_budget_travels_alone() -> None:
    assert [len(data or b"") for _, data in ahead(range(5), lambda _: bytes(5_000), budget=1_000)] == [
        5_000
    ] * 5


def test_latency_is_hidden_by_as_many_fetchers_as_it_takes() -> None:
    lock = threading.Lock()
    under_way, most = 0, 0

    def fetch(_: int) -> bytes:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.05)
        with lock:
            under_way -= 1
        return bytes(1_000)

    tuning = Tuning(64)
    began = time.monotonic()
    assert sum(1 for _ in ahead(range(600), fetch, tuning=tuning)) == 600
    # Four at a time take 7.5 s, 64 at a time half a second.
    assert time.monotonic() - began < 3
    assert most > 32


def test_a_reader_that_is_slower_than_the_source_keeps_few_fetchers() -> None:
    tuning = Tuning(64)
    for _ in ahead(range(400), lambda _: b"x", tuning=tuning, budget=10 << 20):
        time.sleep(0.001)
    assert tuning.now <= 8


def test_fetchers_that_bring_no_more_are_let_go() -> None:
    tuning = Tuning(64)
    for _ in range(40):
        tuning.judge(rate=1e6, starved=0.9)  # a line that is full
    assert tuning.now <= 8


def test_a_fixed_number_stays() -> None:
    tuning = Tuning(64, fixed=3)
    for starved in (0.9, 0.0) * 40:
        tuning.judge(rate=1e6, starved=starved)
        assert tuning.now == 3


def test_a_stop_ends_it_though_a_server_is_silent() -> None:
    stop, silent = threading.Event(), threading.Event()

    def fetch(_: int) -> bytes:
        silent.wait(20)
        return b"x"

    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert list(ahead(itertools.count(), fetch, stop=stop)) == []
    assert time.monotonic() - began < 3
    silent.set()


def test_closing_it_lets_the_threads_go() -> None:
    before = set(threading.enumerate())
    with closing(
        fetched(itertools.count(), lambda _: b"x", tuning=Tuning(8), budget=1_000, stop=threading.Event())
    ) as found:
        next(found)
    assert set(threading.enumerate()) <= before
