from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.backfilling.plan import ShardNumber, cut, plan, shard_of

Run = Callable[..., Any]


class Ledgers:
    """A source that stores what `size` says of each ledger; it counts how often it was asked."""

    def __init__(self, size: Callable[[int], int]) -> None:
        self.size = size
        self.asked = 0

    def stored_bytes(self, ledgers: sa.LedgerSet) -> int:
        self.asked += 1
        return sum(self.size(one) for part in ledgers for one in range(part.first, part.end + 1))

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet()

    def network(self) -> None:
        return None

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        raise NotImplementedError

    def close(self) -> None:
        """Hold nothing."""


ledger_sets = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 300)), max_size=20).map(
    lambda pairs: sa.LedgerSet(sa.LedgerRange(first, first + more) for first, more in pairs)
)


@given(ledger_sets, st.integers(1, 12), st.integers(1, 700))
def test_every_ledger_is_in_one_shard_and_no_part_in_two(
    wanted: sa.LedgerSet, shards: int, size: int
) -> None:
    found = cut(wanted, shards, size, lambda part: part.count)
    assert len(found) == shards
    assert sum(one.count for one in found) == wanted.count
    assert sa.LedgerSet(part for one in found for part in one) == wanted
    parts = [{ledger // size for part in one for ledger in (part.first, part.end)} for one in found]
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert [one.first for one in found if one] == sorted(one.first for one in found if one)


def test_shards_are_about_as_heavy_where_ledgers_grow() -> None:
    source = Ledgers(lambda ledger: ledger // 100)
    shards = plan(source, [], sa.LedgerSet.parse("1000:100999"), sa.LedgerSet(), shards=8)
    bytes_each = [source.stored_bytes(one.ledgers) for one in shards]
    assert max(bytes_each) < 1.1 * min(bytes_each)
    assert shards[0].ledgers.count > 2 * shards[-1].ledgers.count


def test_a_shard_is_the_same_whatever_is_done_already() -> None:
    source = Ledgers(lambda ledger: 1 + ledger % 7)
    wanted, covered = sa.LedgerSet.parse("0:9999"), sa.LedgerSet.parse("0:4999,7000:7010")
    before = plan(source, [], wanted, sa.LedgerSet(), shards=5)
    after = plan(source, [], wanted, covered, shards=5)
    assert [one.ledgers for one in before] == [one.ledgers for one in after]
    assert [one.missing for one in after] == [one.ledgers - covered for one in before]
    assert [one.ledgers for one in before] == [
        shard_of(source, [], wanted, ShardNumber(index, 5)) for index in range(5)
    ]


def test_sixty_million_ledgers_in_ten_thousand_ranges_need_few_questions() -> None:
    source = Ledgers(lambda _: 1)
    source.size = lambda _: 1
    wanted = sa.LedgerSet(sa.LedgerRange(first, first + 5_999) for first in range(0, 70_000_000, 7_000))
    began = time.process_time()
    shards = plan(source, [], wanted, sa.LedgerSet.parse("0:1000000"), shards=1_000)
    assert time.process_time() - began < 30  # it takes a fraction of a second; this is against squares
    assert sum(one.ledgers.count for one in shards) == wanted.count
    assert source.asked <= 64


@pytest.mark.parametrize(
    "text", ["", "1", "a/b", "1/0", "0/0", "3/3", "-1/3", "0/100001", "1/2/3", "\u0661/\u0662"]
)
def test_what_is_no_shard_is_refused_with_how_one_is_written(text: str) -> None:
    with pytest.raises(sa.ConfigError, match="shard"):
        ShardNumber.parse(text)


def test_an_open_range_cannot_be_cut() -> None:
    with pytest.raises(sa.ConfigError, match="no end"):
        plan(Ledgers(lambda _: 1), [], sa.LedgerSet([sa.LedgerRange(5)]), sa.LedgerSet(), shards=2)


def test_shards_extracted_apart_are_all_and_the_plan_says_what_is_left(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    place = f"parquet:{tmp_path}/out?ledgers=5"
    asked = [make_lake(), "--tables", "ledgers,contract_events", "--to", place, "--ledgers", "100:139"]
    for done, index in enumerate((2, 0, 1)):
        told = json.loads(stellarrow("plan", *asked, "--shards", 3, "--json").out)
        left = [one["missing_ledgers"] for one in told["shards"]]
        assert (told["ledgers_per_part"], left.count(0)) == (5, done)
        report = json.loads(stellarrow("extract", *asked, "--shard", f"{index}/3", "--json").out)
        assert report["ledgers"] == left[index] > 0
    assert stellarrow("extract", *asked, "--shard", "1/3").out.startswith("nothing to do")
    assert "0 ledgers missing" in stellarrow("plan", *asked, "--shards", 3).out
    assert json.loads(stellarrow("coverage", place, "--json").out)["tables"][0]["missing"] == ""
    assert len(list((tmp_path / "out" / "ledgers").glob("0*.parquet"))) == 8


def test_a_shard_that_is_none_is_told(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    asked = ["extract", make_lake(), "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out"]
    done = stellarrow(*asked, "--shard", "4/4")
    assert (done.code, done.err) == (2, "error: 4/4 is no shard: of 4 the last is 3/4\n")


def test_ledgers_that_the_source_lacks_are_told_apart_from_those_that_sinks_lack(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    argv = ["plan", make_lake(), "--tables", "ledgers", "--ledgers", "95:144", "--shards", "2"]
    argv += ["--to", f"parquet:{tmp_path}/out?ledgers=5"]
    done = stellarrow(*argv, "--json")
    shards = json.loads(done.out)["shards"]
    assert sum(one["missing_ledgers"] for one in shards) == 40
    assert [one["not_in_source"] for one in shards] == ["95:99", "140:144"]
    assert sum(one["ledger_count"] for one in shards) == 50
    assert "the source does not have 95 to 99, 140 to 144: an extraction fails there" in stellarrow(*argv).out
