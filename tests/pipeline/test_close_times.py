"""Ledgers found by when they closed, by looking at few of them."""

from __future__ import annotations

import logging
import random
import time
from bisect import bisect_left, bisect_right
from itertools import accumulate
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellarrow import ConfigError, LedgerMissing, LedgerRange, LedgerSet
from stellarrow.core.close_time import close_time
from stellarrow.core.decode import decode
from stellarrow.errors import DecodeError
from stellarrow.pipeline.close_times import CloseTimes

FIRST = 50


class Chain:
    """Ledgers from FIRST on that closed at given times; some may be missing. It counts looks."""

    def __init__(self, closed: list[int], missing: frozenset[int] = frozenset()) -> None:
        self.closed, self.missing, self.looks = closed, missing, 0
        held = LedgerSet([LedgerRange(FIRST, FIRST + len(closed) - 1)])
        self.times = CloseTimes(lambda: held, self.look, name="the chain")

    def look(self, ledger: int) -> int:
        self.looks += 1
        if ledger in self.missing:
            raise LedgerMissing(f"ledger {ledger} is missing")
        return self.closed[ledger - FIRST]


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=200), st.data())
def test_both_ends_are_those_of_a_sorted_list(steps: list[int], data: st.DataObject) -> None:
    closed = list(accumulate(steps))
    second = data.draw(st.integers(closed[0], closed[-1]))
    chain = Chain(closed)
    assert chain.times.since(second, follows=False) == FIRST + bisect_left(closed, second)
    assert chain.times.until(second) == FIRST + bisect_right(closed, second) - 1


def test_few_looks_find_a_ledger_among_a_million() -> None:
    chance = random.Random(12)  # noqa: S311  the same each time
    steps = (chance.choice((4, 5, 5, 6, 60 if chance.random() < 0.001 else 6)) for _ in range(1_000_000))
    closed = list(accumulate(steps))
    for _ in range(50):
        chain = Chain(closed)
        chain.times.since(chance.randint(closed[0], closed[-1]), follows=False)
        assert chain.looks <= 3 * log2(len(closed))


def test_times_that_lie_worst_still_take_a_logarithm_of_looks() -> None:
    closed = [2**power for power in range(2_000)]
    for second in (3, 2**1000 + 1, 2**1998 + 1):
        chain = Chain(closed)
        assert chain.times.since(second, follows=False) == FIRST + bisect_left(closed, second)
        assert chain.looks <= 3 * log2(len(closed)) + 3


def test_a_hole_where_nobody_asked_is_passed_over() -> None:
    closed = list(range(0, 5_000, 5))
    chain = Chain(closed, frozenset(range(FIRST + 400, FIRST + 600)))
    assert chain.times.since(3_500, follows=False) == FIRST + 700
    assert chain.times.until(1_000) == FIRST + 200


def test_where_a_place_begins_and_ends_is_said(caplog: pytest.LogCaptureFixture) -> None:
    chain = Chain([1_000, 1_005, 1_010])
    with caplog.at_level(logging.WARNING):
        assert (chain.times.since(0, follows=False), chain.times.until(9_999)) == (50, 52)
    assert [record.getMessage() for record in caplog.records] == [
        "the chain begins with ledger 50, which closed at 1970-01-01T00:16:40Z: there is nothing before it",
        "the chain ends with ledger 52, which closed at 1970-01-01T00:16:50Z: there is nothing after it",
    ]
    with pytest.raises(LedgerMissing, match="begins with ledger 50, which closed at 1970-01-01T00:16:40Z"):
        chain.times.until(999)
    with pytest.raises(LedgerMissing, match="its newest, 52, closed at 1970-01-01T00:16:50Z"):
        chain.times.since(1_100, follows=True)


def test_the_edge_of_a_chain_is_followed_from_the_ledger_to_come() -> None:
    now = int(time.time())
    chain = Chain([now - 20, now - 10])
    assert chain.times.since(now, follows=True) == FIRST + 2
    with pytest.raises(ConfigError, match="still to come"):
        chain.times.since(now + 999, follows=True)


def test_a_place_without_ledgers_or_without_an_end_is_refused() -> None:
    with pytest.raises(LedgerMissing, match="has no ledger yet"):
        CloseTimes(LedgerSet, lambda _: 0, name="it").until(5)
    with pytest.raises(ConfigError, match="does not tell where it ends"):
        CloseTimes(lambda: LedgerSet([LedgerRange(5)]), lambda _: 0, name="it").until(5)


def test_the_header_tells_what_the_decoder_tells(ledgers: tuple[bytes, ...]) -> None:
    for ledger in ledgers[:3]:
        table = decode(ledger, ["ledgers"], network="synthetic", framing="single")["ledgers"]
        assert close_time(ledger) == table["closed_at"][0].as_py().timestamp()
        for cut in range(0, 100, 7):
            with pytest.raises(DecodeError, match="header"):
                close_time(ledger[:cut])
    with pytest.raises(DecodeError, match="LedgerCloseMeta 7"):
        close_time(b"\0\0\0\7" + ledgers[0][4:])
