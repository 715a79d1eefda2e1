"""Ledgers stay in memory until files have them; what files lack, and nobody has any more, is told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from analytics.conftest import COUNT, FIRST, LIVE, PORTS, Given, Serve, Served
from analytics.test_stream import known, places
from analytics.test_table_feed import OPTIONS, covered, rows_in, wait_for
from stellarrow.analysis.reads.following import ProcessorFollower
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.reading import Tables
from stellarrow.config import Analytics, read
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.registry import open_sink
from stellarrow.services.table_feed import TableFeed
from stellarrow.telemetry.metrics import Metrics

Start = Callable[..., tuple[Served, Given]]
Rows = dict[str, dict[int, Any]]
LAST = FIRST + COUNT - 1
SECONDS = 60.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was written be durable soon."""
    monkeypatch.setattr("stellarrow.services.table_feed._COMMIT_SECONDS", 0.05)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def followed(tables: Tables, rows: Rows) -> Iterator[ProcessorFollower]:
    given = Given(rows)
    given.give(LAST)
    follower = ProcessorFollower(tables, given.streams(), name="given", metrics=Metrics())
    follower.start()
    try:
        yield follower
    finally:
        follower.close()


def small(rows: Rows) -> Tables:
    """Return tables whose memory has room for a few of these ledgers."""
    size = sum(one.nbytes for table in rows.values() for one in table.values())
    network = Network.of("synthetic")
    return Tables(LIVE, hot=Hot(LIVE, most_bytes=size // 8), stored=None, network=network)


def write(place: str, rows: Rows, ledgers: LedgerRange) -> None:
    """Write some ledgers as the service does."""
    tables = Tables(LIVE, hot=Hot(LIVE, most_bytes=1 << 30), stored=None, network=Network.of("synthetic"))
    for ledger in range(ledgers.first, ledgers.end + 1):
        tables.add_all(LedgerRange(ledger, ledger), {name: rows[name][ledger] for name in LIVE})
    feed = TableFeed(tables, place, Metrics())
    feed.start()
    until(lambda: not LedgerSet([ledgers]) - covered(place))
    feed.close()


def test_reading_waits_until_what_is_in_memory_was_written(live_rows: Rows, tmp_path: Path) -> None:
    place, tables = f"parquet:{tmp_path}/out", small(live_rows)
    feed = TableFeed(tables, place, Metrics())
    with followed(tables, live_rows):
        until(lambda: tables.hot.is_full)
        assert tables.snapshot("token_transfers").as_of < LAST
        feed.start()
        until(lambda: covered(place) == LedgerSet([LedgerRange(FIRST, LAST)]))
        until(lambda: not tables.hot.is_full)
        feed.close()
    assert places(rows_in(place, "token_transfers")) == known(live_rows, FIRST, LAST)
    assert [row["ledger_sequence"] for row in rows_in(place, "ledgers")] == [*range(FIRST, LAST + 1)]


def test_a_writer_that_has_ended_holds_nothing_up(live_rows: Rows, tmp_path: Path) -> None:
    tables = small(live_rows)
    feed = TableFeed(tables, f"parquet:{tmp_path}/out", Metrics())
    with followed(tables, live_rows):
        until(lambda: tables.hot.is_full)
        feed.close()
        until(lambda: all(tables.snapshot(name).as_of == LAST for name in LIVE))
    assert tables.hot.picture("token_transfers").coverage.first > FIRST


def test_a_follower_that_waits_for_room_ends_when_it_is_closed(live_rows: Rows, tmp_path: Path) -> None:
    tables = small(live_rows)
    feed = TableFeed(tables, f"parquet:{tmp_path}/out", Metrics())
    with followed(tables, live_rows) as follower:
        until(lambda: tables.hot.is_full)
        follower.close()
        assert not any(one._thread.is_alive() for one in follower._threads)
    feed.close()


def test_what_only_some_tables_have_is_named_and_holds_nothing_up(live_rows: Rows, tmp_path: Path) -> None:
    place, tables = f"parquet:{tmp_path}/out", small(live_rows)
    feed = TableFeed(tables, place, Metrics())
    feed.start()
    for ledger in range(FIRST, LAST + 1):
        for name in LIVE if ledger >= FIRST + 30 else LIVE[1:]:
            if ledger >= FIRST + 30:
                tables.hot.wait_for_room(name, threading.Event())
            tables.add(name, LedgerRange(ledger, ledger), live_rows[name][ledger])
    until(lambda: covered(place) == LedgerSet([LedgerRange(FIRST + 30, LAST)]))
    until(lambda: feed.check().metrics["missing_ledgers"] == 30)
    feed.close()


def test_what_memory_let_go_of_before_the_writer_looked_is_named_too(live_rows: Rows, tmp_path: Path) -> None:
    tables = small(live_rows)
    metrics = Metrics()
    feed = TableFeed(tables, f"parquet:{tmp_path}/out", metrics)
    for ledger in range(FIRST, LAST + 1):
        for name in LIVE if ledger == LAST else LIVE[1:]:
            tables.add(name, LedgerRange(ledger, ledger), live_rows[name][ledger])
    assert tables.hot.picture(LIVE[1]).coverage.first > FIRST
    feed.start()
    until(lambda: feed.check().metrics["missing_ledgers"] == COUNT - 1)
    assert f" {COUNT - 1}.0" in next(
        line for line in metrics.text().decode().splitlines() if line.startswith("missing_ledgers{")
    )
    feed.close()


def test_what_a_place_lacks_is_written_after_a_restart_where_the_source_has_it(
    serve_given: Start, live_rows: Rows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"parquet:{tmp_path}/out"
    write(place, live_rows, LedgerRange(FIRST, 109))
    write(place, live_rows, LedgerRange(120, 129))
    caplog.clear()
    with caplog.at_level(logging.ERROR, "stellarrow.export"):
        served, chain = serve_given(parquet_path=tmp_path / "out")
        chain.give(LAST)
        wait_for(served, [place], LAST)
        until(lambda: served.get("/health").json()["components"][place]["healthy"])
    assert [one.message for one in caplog.records if one.name == "stellarrow.export"] == []


def test_what_a_place_lacks_and_nobody_has_is_named_in_the_log_and_health(
    serve_given: Start, live_rows: Rows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = f"parquet:{tmp_path}/out"
    write(place, live_rows, LedgerRange(FIRST, 109))
    write(place, live_rows, LedgerRange(120, 129))
    caplog.clear()
    rest = {name: {at: one for at, one in rows.items() if at >= 140} for name, rows in live_rows.items()}
    served, chain = serve_given(Given(rest), parquet_path=tmp_path / "out")
    chain.give(LAST)

    def told() -> dict[str, Any]:
        return dict(served.get("/health").json()["components"][place])

    until(lambda: told()["metrics"]["missing_ledgers"] == 20)
    sentence = "ledgers 110:119, 130:139 are neither there nor in memory any more: extract them into it"
    assert (told()["healthy"], told()["message"]) == (False, sentence)
    assert [one.message for one in caplog.records if one.name == "stellarrow.export"] == [
        f"{place}: {sentence}"
    ]


@pytest.mark.slow
def test_large_ledgers_of_a_source_are_all_written_through_little_memory(
    serve: Serve, stellarrow: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    made = stellarrow("synth", "--ledgers", "60", "--size", "1.7MB", "--out", tmp_path / "heavy")
    assert made[0] == 0, made
    place = f"parquet:{tmp_path}/out"
    served = serve(source=tmp_path / "heavy", network="synthetic", hot_mb=16, parquet_path=tmp_path / "out")
    served.wait_for(61)
    names = served.service.tables.names
    until(lambda: _all_of(place, names) == LedgerSet([LedgerRange(2, 61)]))


def _all_of(place: str, names: tuple[str, ...]) -> LedgerSet:
    sink = open_sink(place, list(names), OPTIONS)
    try:
        return sink.coverage()
    finally:
        sink.close()


@pytest.mark.parametrize(
    "path", ["duckdb:./x.db", "parquet:./e2", "json:out", "postgres://h/d", "s3:bucket", "file:out"]
)
def test_a_path_of_another_sink_is_refused_with_a_sentence(path: str, tmp_path: Path) -> None:
    settings = read(Analytics, {**PORTS, "parquet_path": path, "data": str(tmp_path)}, environ={})
    with pytest.raises(sa.ConfigError, match=r"names no folder: write a folder such as \./out"):
        _ = settings.exported


@pytest.mark.parametrize("path", ["s3://bucket/p", "file:///tmp/out", "./duckdb:x", "out", "a:b"])
def test_folders_and_urls_of_stores_are_taken(path: str, tmp_path: Path) -> None:
    settings = read(Analytics, {**PORTS, "parquet_path": path, "data": str(tmp_path)}, environ={})
    assert settings.exported == (f"parquet:{path}",)
