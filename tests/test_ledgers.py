from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellarrow import ConfigError, LedgerRange, LedgerSet
from stellarrow.ledgers import LAST_POSSIBLE

SETS = st.sets(st.integers(0, 60), max_size=40)
WITH_ENDS = st.sets(st.integers(0, 30) | st.integers(LAST_POSSIBLE - 30, LAST_POSSIBLE), max_size=30)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("58752000:58752999", 58752000, 58752999),
        ("58_752_000:58_752_999", 58752000, 58752999),
        ("58,752,000:+1,000", 58752000, 58752999),
        ("58752000:+1000", 58752000, 58752999),
        ("5:", 5, None),
        (":5", 1, 5),
        ("5", 5, 5),
        (" 5 : 6 ", 5, 6),
    ],
)
def test_a_range_is_read(text: str, first: int, last: int | None) -> None:
    assert LedgerRange.parse(text) == LedgerRange(first, last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a",
        "5:4",
        "5:+0",
        "5:+",
        "+5",
        "-5",
        "5::6",
        "5+6",
        "4294967296",
        "5:4294967296",
        "٣",
        "5__6",
    ],
)
def test_nonsense_is_no_range(text: str) -> None:
    with pytest.raises(ConfigError):
        LedgerRange.parse(text)


def test_latest_and_an_open_beginning_come_from_what_is_known() -> None:
    known = LedgerSet([LedgerRange(10, 20)])
    assert LedgerRange.parse("latest", known=lambda: known) == LedgerRange(20, 20)
    assert LedgerRange.parse("15:latest", known=lambda: known) == LedgerRange(15, 20)
    assert LedgerRange.parse(":12", known=lambda: known) == LedgerRange(10, 12)


def test_latest_means_nothing_without_a_source() -> None:
    with pytest.raises(ConfigError, match="no source"):
        LedgerRange.parse("latest")


def test_a_range_knows_its_ledgers() -> None:
    assert LedgerRange(5, 7).count == 3
    assert 7 in LedgerRange(5, 7)
    assert 8 not in LedgerRange(5, 7)
    assert LAST_POSSIBLE in LedgerRange(5)


def test_a_list_of_ranges_is_read_and_merged() -> None:
    assert str(LedgerSet.parse("5:7, 8, 1,20:+2")) == "1, 5:8, 20:21"


def test_a_number_that_could_be_three_ledgers_is_refused() -> None:
    with pytest.raises(ConfigError, match="58_752_000"):
        LedgerSet.parse("58,752,000")


@given(SETS)
def test_a_set_reads_back_as_written(numbers: set[int]) -> None:
    if numbers:
        assert LedgerSet.parse(str(LedgerSet.of(numbers))) == LedgerSet.of(numbers)


@given(WITH_ENDS, WITH_ENDS)
def test_a_ledger_set_does_what_a_set_does(left: set[int], right: set[int]) -> None:
    one, other = LedgerSet.of(left), LedgerSet.of(right)
    assert one | other == LedgerSet.of(left | right)
    assert one - other == LedgerSet.of(left - right)
    assert one & other == LedgerSet.of(left & right)
    assert one.count == len(left)
    assert bool(one) == bool(left)
    assert all((number in one) == (number in left) for number in left | right)


@given(SETS)
def test_its_ranges_are_sorted_and_never_touch(numbers: set[int]) -> None:
    ranges = LedgerSet.of(numbers).ranges
    assert all(before.end + 1 < after.first for before, after in pairwise(ranges))
    assert [number for part in ranges for number in range(part.first, part.end + 1)] == sorted(numbers)


@given(SETS)
def test_its_holes_are_what_lies_between(numbers: set[int]) -> None:
    between = set(range(min(numbers), max(numbers))) - numbers if numbers else set()
    assert LedgerSet.of(numbers).holes == LedgerSet.of(between)


def test_what_follows_the_chain_stays_open() -> None:
    following = LedgerSet([LedgerRange(5)])
    assert (following - LedgerSet([LedgerRange(1, 9)])).ranges == (LedgerRange(10),)
    assert str(following | LedgerSet([LedgerRange(1, 4)])) == "1:"
