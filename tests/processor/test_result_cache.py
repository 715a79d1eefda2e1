"""Answers that are kept: within a bound, the least recently asked for go first, each by all it depends on."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from stellarrow.errors import ConfigError, Stopped
from stellarrow.ledgers import LedgerSet
from stellarrow.processor.reads.result_cache import Answer, Key, ResultCache
from stellarrow.telemetry.metrics import Metrics

KEY = Key("token_transfers@1.0", "network", "1:10", "", False, "count(*)", "")
ROW_BYTES = 8


def check() -> None:
    """Wait for as long as it takes."""


def answer(key: Key, number: int = 0, *, rows: int = 1_000) -> Answer:
    return Answer(pa.table({"n": pa.array([number] * rows, pa.int64())}), LedgerSet.parse(key.ledgers))


def never() -> Answer:
    raise AssertionError("it was kept")


def value(cache: ResultCache, name: str) -> float:
    text = cache._metrics.text().decode()
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).split()[1])


@pytest.mark.parametrize(
    "other",
    [
        {"table": "token_transfers@2.0"},
        {"network": "other"},
        {"ledgers": "1:11"},
        {"ledgers": "1:5, 7:10"},
        {"where": "x"},
        {"decoded": True},
        {"expression": "sum(x)"},
        {"window": "1h"},
        {"session": "one"},
    ],
)
def test_every_part_of_a_key_tells_answers_apart(other: dict[str, Any]) -> None:
    cache = ResultCache(1 << 20, Metrics())
    key = replace(KEY, **other)
    cache.answer(KEY, lambda: answer(KEY, 1), check=check)
    assert cache.answer(key, lambda: answer(key, 2), check=check).rows["n"][0].as_py() == 2
    assert cache.answer(KEY, never, check=check).rows["n"][0].as_py() == 1


def test_those_asked_for_least_recently_make_room() -> None:
    cache = ResultCache(4 * (1_000 * ROW_BYTES + 1_024), Metrics())
    keys = [replace(KEY, expression=str(at)) for at in range(6)]
    for key in keys[:4]:
        cache.answer(key, lambda key=key: answer(key), check=check)  # type: ignore[misc]
    cache.answer(keys[0], never, check=check)
    cache.answer(keys[4], lambda: answer(keys[4]), check=check)
    for kept in (keys[0], keys[2], keys[3], keys[4]):
        cache.answer(kept, never, check=check)
    with pytest.raises(AssertionError):
        cache.answer(keys[1], never, check=check)
    assert (value(cache, "query_cache_evictions_total"), cache.size_bytes) == (1, 4 * 9_024)
    assert value(cache, "query_cache_bytes") == cache.size_bytes


def test_what_is_larger_than_all_of_it_is_not_kept() -> None:
    cache = ResultCache(5_000, Metrics())
    small = replace(KEY, expression="small")
    cache.answer(small, lambda: answer(small, rows=10), check=check)
    cache.answer(KEY, lambda: answer(KEY), check=check)
    cache.answer(small, never, check=check)
    with pytest.raises(AssertionError):
        cache.answer(KEY, never, check=check)


def test_an_answer_of_other_ledgers_than_were_asked_for_is_given_and_not_kept() -> None:
    cache = ResultCache(1 << 20, Metrics())
    short = replace(KEY, ledgers="1:9")
    cache.answer(KEY, lambda: answer(short, 9), check=check)
    assert cache.answer(KEY, lambda: answer(KEY, 10), check=check).rows["n"][0].as_py() == 10


def test_an_error_is_told_to_all_who_wait_and_not_kept() -> None:
    cache = ResultCache(1 << 20, Metrics())
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> Answer:
        begun.set()
        go_on.wait(30)
        raise ConfigError("too many groups")

    def ask() -> str:
        with pytest.raises(ConfigError) as error:
            cache.answer(KEY, fail, check=check)
        return str(error.value)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask)
        begun.wait(30)
        others = [pool.submit(ask) for _ in range(3)]
        go_on.set()
        assert [one.result(30) for one in (first, *others)] == ["too many groups"] * 4
    assert cache.answer(KEY, lambda: answer(KEY, 7), check=check).rows["n"][0].as_py() == 7


def test_who_waits_computes_where_the_first_gives_up() -> None:
    cache = ResultCache(1 << 20, Metrics())
    begun, go_on = threading.Event(), threading.Event()

    def leave() -> Answer:
        begun.set()
        go_on.wait(30)
        raise Stopped("the reader has gone")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.answer, KEY, leave, check=check)
        begun.wait(30)
        second = pool.submit(cache.answer, KEY, lambda: answer(KEY, 5), check=check)
        go_on.set()
        assert second.result(30).rows["n"][0].as_py() == 5
        with pytest.raises(Stopped):
            first.result(30)


def test_who_waits_may_leave() -> None:
    cache = ResultCache(1 << 20, Metrics())
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Answer:
        begun.set()
        go_on.wait(30)
        return answer(KEY, 3)

    def gone() -> None:
        raise Stopped("the reader has gone")

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.answer, KEY, slowly, check=check)
        begun.wait(30)
        with pytest.raises(Stopped):
            cache.answer(KEY, never, check=gone)
        go_on.set()
        assert first.result(30).rows["n"][0].as_py() == 3


def test_many_threads_get_what_belongs_to_their_keys_and_the_bound_holds() -> None:
    limit = 5 * 9_024
    cache = ResultCache(limit, Metrics())
    keys = [replace(KEY, expression=str(at)) for at in range(12)]

    def ask(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311  dice, no secret
        for _ in range(300):
            at = dice.randrange(12)
            found = cache.answer(keys[at], lambda at=at: answer(keys[at], at), check=check)  # type: ignore[misc]
            assert found.rows["n"][0].as_py() == at
            assert cache.size_bytes <= limit

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(ask, seed) for seed in range(8)]:
            one.result(60)
    assert value(cache, "query_cache_hits_total") + value(cache, "query_cache_misses_total") == 2_400
