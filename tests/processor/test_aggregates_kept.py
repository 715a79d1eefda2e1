"""Aggregates that were answered are kept, computed once, and never stale."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.named_queries import Catalogue
from stellarrow.processor.session import Status

from .conftest import Endless, Service, Start
from .test_aggregates import RANGE, SAVED, Expected, by_event, counted, figures
from .test_quarantine import BAD, Damaged, good


@pytest.fixture
def service(start: Start) -> Service:
    """A processor with saved queries, whose one session has brought all forty ledgers."""
    made = start(queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    made.finished(made.processor.start(100, 139).id)
    return made


def test_an_answer_is_kept_and_given_again(service: Service) -> None:
    ranges: list[dict[str, Any]] = [RANGE, {}]
    for ends in ranges:
        hits, misses = (
            counted(service, "query_cache_hits_total"),
            counted(service, "query_cache_misses_total"),
        )
        answers = [service.tables.read(aggregate="by_event", **ends).rows for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert counted(service, "query_cache_hits_total") == hits + 2
        assert counted(service, "query_cache_misses_total") == misses + 1
    assert counted(service, "query_cache_bytes") > 0


def test_whatever_an_answer_depends_on_makes_another_key(service: Service, expected: Expected) -> None:
    commands: list[dict[str, Any]] = [
        {"aggregate": "by_event", **RANGE},
        {"aggregate": "by_event", **RANGE, "end_ledger": 138},
        {"aggregate": "by_event", **RANGE, "start_ledger": 101},
        {"aggregate": "by_event", **RANGE, "window": "1m"},
        {"aggregate": "by_event", **RANGE, "filter": "large_amounts"},
        {"aggregate": "by_event", **RANGE, "where": "amount_raw > 10000001"},
        {"aggregate": "by_event", **RANGE, "contract_ids": [expected("token_transfers")[0]["contract_id"]]},
        {"aggregate": "by_event"},
        {"aggregate": "in_all", **RANGE},
        {"aggregate": "transactions_by_hour", **RANGE},
        {"aggregate": "transactions_by_hour", "table": "token_transfers", **RANGE},
    ]
    first = [service.tables.read(**command).rows for command in commands]
    assert counted(service, "query_cache_misses_total") == len(commands)
    assert [service.tables.read(**command).rows for command in commands] == first
    assert counted(service, "query_cache_hits_total") == len(commands)


def test_nothing_is_kept_where_that_is_not_wanted(start: Start) -> None:
    service = start(queries=Catalogue(SAVED), network=sa.Network.of("synthetic"), query_cache_mb=0)
    for _ in range(3):
        service.tables.read(aggregate="by_event", **RANGE)
    assert counted(service, "query_cache_hits_total") == 0
    assert counted(service, "query_cache_bytes") == 0


def test_requests_of_one_moment_are_computed_once(start: Start, endless: Endless, expected: Expected) -> None:
    service = start(endless, queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(service.tables.read, aggregate="by_event", **RANGE) for _ in range(8)]
        endless.wait_until_taken(99)
        endless.give(139)
        answers = [figures(one.result(60)) for one in asking]
    assert answers == [by_event(expected("token_transfers"))] * 8
    assert counted(service, "query_cache_misses_total") == 1
    assert counted(service, "query_cache_hits_total") == 7


def test_another_one_computes_where_the_first_has_left(
    start: Start, endless: Endless, expected: Expected
) -> None:
    service = start(endless, queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    info = service.tables.info(aggregate="by_event", **RANGE)
    leaving = service.tables.client.do_get(info.endpoints[0].ticket)
    with ThreadPoolExecutor(1) as pool:
        endless.give(110)
        endless.wait_until_taken(110)
        staying = pool.submit(service.tables.read, aggregate="by_event", **RANGE)
        leaving.cancel()
        endless.give(139)
        assert figures(staying.result(60)) == by_event(expected("token_transfers"))


def test_answers_grow_with_what_is_there_and_are_never_stale(
    start: Start, endless: Endless, expected: Expected
) -> None:
    service = start(endless, queries=Catalogue(SAVED), network=sa.Network.of("synthetic"))
    session = service.processor.start(100).id
    dice = random.Random(11)  # noqa: S311  dice, no secret
    filters: dict[str, int] = {"": -(2**127), "large_amounts": 10_000_000}
    last = 99
    while last < 139:
        if dice.random() < 0.5 or last == 99:
            last = min(139, last + dice.randint(1, 6))
            endless.give(last)
            until_kept(service, session, last)
        name = dice.choice([*filters])
        asked: dict[str, Any] = {"aggregate": "by_event", **({"filter": name} if name else {})}
        received = service.tables.read(**asked)
        rows = [
            row for row in expected("token_transfers", 100, last) if int(row["amount_text"]) > filters[name]
        ]
        assert figures(received) == by_event(rows)
        assert received.told[-1]["last_ledger"] == last
        first = dice.randint(100, last)
        ranged = service.tables.read(**asked, start_ledger=first, end_ledger=last)
        assert figures(ranged) == by_event([row for row in rows if row["ledger_sequence"] >= first])
    assert counted(service, "query_cache_hits_total") > 0


def until_kept(service: Service, session: str, last: int) -> None:
    work = service.processor.work(session)
    with service.processor.changed:
        assert service.processor.changed.wait_for(lambda: bool(work.spool) and work.spool.last >= last, 30)  # type: ignore[union-attr]


def test_a_gap_is_not_in_the_answer_and_a_range_that_is_repaired_is(
    start: Start, ledgers: tuple[bytes, ...], expected: Expected, tmp_path: Any
) -> None:
    source = Damaged(ledgers)
    service = start(
        source,
        dead_letters=tmp_path / "dead-letters",
        queries=Catalogue(SAVED),
        network=sa.Network.of("synthetic"),
    )
    assert service.finished(service.processor.start(100, 139).id) is Status.STOPPED
    rows = expected("token_transfers")
    for _ in range(2):
        received = service.tables.read(aggregate="by_event")
        assert figures(received) == by_event(good(rows))
        with pytest.raises(pa.ArrowException, match=r"ledger 100"):
            service.tables.read(aggregate="by_event", **RANGE)
    source.bad = sa.LedgerSet()
    assert figures(service.tables.read(aggregate="by_event", **RANGE)) == by_event(rows)
    assert figures(service.tables.read(aggregate="by_event")) == by_event(good(rows))
    assert BAD
