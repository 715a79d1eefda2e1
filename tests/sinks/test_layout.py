from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.sinks.files.layout import aligned, file_name, named_range, superseded, trusted

RANGES = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda one: LedgerRange(one[0], one[0] + one[1])),
    max_size=8,
)


@given(RANGES)
def test_every_ledger_is_read_once_from_a_range_that_has_it(ranges: list[LedgerRange]) -> None:
    read: list[int] = []
    for held, part in trusted(ranges):
        assert held in ranges
        assert held.first <= part.first <= part.end == held.end
        read += range(part.first, part.end + 1)
    assert len(read) == len(set(read))
    assert LedgerSet.of(read) == LedgerSet(ranges)


@given(RANGES)
def test_what_lies_within_another_does_not_count(ranges: list[LedgerRange]) -> None:
    gone = superseded(set(ranges))
    for one in set(ranges):
        within = any(other != one and other.first <= one.first and one.end <= other.end for other in ranges)
        assert (one in gone) == within


@given(st.integers(0, 5_000), st.integers(0, 3_000), st.integers(1, 1_500))
def test_ranges_are_cut_where_a_ledger_is_a_multiple(first: int, more: int, size: int) -> None:
    parts = list(aligned(LedgerRange(first, first + more), size))
    assert LedgerSet(parts) == LedgerSet([LedgerRange(first, first + more)])
    assert all(part.first // size == part.end // size for part in parts)


def test_names_sort_as_their_ledgers_and_tell_them() -> None:
    name = file_name(LedgerRange(53_312_000, 53_312_999), ".jsonl.zst")
    assert name == "0053312000-0053312999.jsonl.zst"
    assert named_range(f"contract_events/{name}") == LedgerRange(53_312_000, 53_312_999)
    assert named_range(name, ".jsonl") is None
    assert named_range("0000000009-0000000001.parquet") is None


def test_the_last_ledger_there_can_be_has_a_range() -> None:
    parts = list(aligned(LedgerRange(LAST_POSSIBLE - 1_000, LAST_POSSIBLE), 1_000))
    assert [part.end for part in parts] == [4_294_966_999, LAST_POSSIBLE]
    assert named_range(file_name(parts[-1], ".csv"), ".csv") == parts[-1]
