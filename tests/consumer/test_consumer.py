"""A processor's stream into PostgreSQL: whatever breaks, every row once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest

import stellarrow as sa
from fakes.processor import HALF, Processor
from sinks.postgres.made import asked, batch, entry
from stellarrow.consumer.consumer import Consumer
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.consumer.stats import ConsumerMetrics, Stats
from stellarrow.ledgers import Network
from stellarrow.net.address import Address
from stellarrow.net.resilience import Guard, Policy
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.telemetry import gaps
from stellarrow.telemetry.gaps import Gap
from stellarrow.telemetry.metrics import Metrics

SYNTHETIC = Network.of("synthetic")
EAGER = Policy(attempts=None, first_wait=0.02, longest_wait=0.1, failures_to_open=1_000)


def pieces(first: int, last: int, *, size: int = 2) -> list[sa.LedgerBatch]:
    rows = [
        entry(ledger, f"k{ledger % 5}", place=place) for ledger in range(first, last + 1) for place in (0, 1)
    ]
    return [batch(at, min(at + size - 1, last), rows) for at in range(first, last + 1, size)]


def ledgers(database: str) -> list[int]:
    try:
        found = asked(database, "SELECT ledger_sequence FROM contract_data.entries ORDER BY 1, change_index")
    except psycopg.errors.UndefinedTable:
        return []
    return [row["ledger_sequence"] for row in found]


def twice(first: int, last: int) -> list[int]:
    return [ledger for ledger in range(first, last + 1) for _ in range(2)]


def until(what: Callable[[], object], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


@contextmanager
def consuming(
    processor: Processor, database: str, *, interval: float = 0.05, gap: Gap | None = None
) -> Iterator[Stats]:
    """Consume in a thread for as long as the block lasts."""
    stop, stats, failed = threading.Event(), Stats(), list[BaseException]()
    sink = PostgresSink(database, ["contract_data"], network="synthetic", mode="live")
    stream = FlightTable(Address.parse(processor.endpoint), "contract_data")
    consumer = Consumer(
        stream,
        sink,
        table="contract_data",
        flush_interval=interval,
        guard=Guard("processor", EAGER, stop=stop),
        stop=stop,
        metrics=ConsumerMetrics(Metrics()),
        stats=stats,
        gap=gap,
    )

    def run() -> None:
        try:
            consumer.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    with closing(sink):
        thread.start()
        try:
            yield stats
        finally:
            stop.set()
            thread.join(20)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def test_what_a_processor_sends_is_stored_as_it_comes(processor: Processor, database: str) -> None:
    processor.pieces += pieces(1, 10)
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 10)
        processor.pieces += pieces(11, 14)
        until(lambda: ledgers(database) == twice(1, 14))
    assert stats.records_received == 28
    assert processor.asked[0]["from"] == "earliest"
    assert (processor.asked[0]["table"], processor.asked[0]["version"]) == ("contract_data", "2.0")


def test_ledgers_that_never_came_are_told_as_missing_until_somebody_brings_them(
    processor: Processor, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "LOOK_SECONDS", 0.0)
    metrics = Metrics()

    def missing() -> float | None:
        labels = {"place": "database", "table": "contract_data"}
        return metrics.registry.get_sample_value("missing_ledgers", labels)

    processor.pieces += [*pieces(1, 4), *pieces(7, 10)]
    with consuming(processor, database, gap=Gap(metrics, "database", "contract_data")):
        until(lambda: missing() == 2)
        with closing(PostgresSink(database, ["contract_data"], network="synthetic", mode="live")) as sink:
            for one in pieces(5, 6):
                sink.write(one)
            sink.commit()
        processor.pieces += pieces(11, 12)
        until(lambda: missing() == 0)


def test_it_goes_on_from_the_durable_position(processor: Processor, database: str) -> None:
    processor.pieces += pieces(1, 10)
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 10)
    processor.pieces += pieces(11, 20)
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 20)
    assert processor.asked[-1]["from"] == "after-5"
    assert stats.records_received == 20
    assert ledgers(database) == twice(1, 20)


def test_what_was_not_committed_comes_again(processor: Processor, database: str) -> None:
    processor.pieces += pieces(1, 10)
    with consuming(processor, database, interval=1_000) as stats:
        until(lambda: stats.last_ledger == 10)
        assert asked(database, "SELECT to_regclass('stellar.positions') AS made") == [{"made": None}]


def test_a_stream_that_breaks_is_taken_up_where_it_broke(processor: Processor, database: str) -> None:
    processor.pieces += pieces(1, 20)
    processor.breaks_after = 4
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 20)
    assert stats.reconnections == 1
    assert processor.asked[-1]["from"] == "after-4"
    assert ledgers(database) == twice(1, 20)


def test_a_processor_that_restarts_is_waited_for(processor: Processor, database: str) -> None:
    processor.pieces += pieces(1, 10)
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 10)
        processor.stop()
        until(lambda: stats.reconnections)
        processor.pieces += pieces(11, 20)
        processor.start()
        until(lambda: stats.committed_ledger == 20)
    assert ledgers(database) == twice(1, 20)


def test_a_place_the_processor_no_longer_knows_is_begun_again_from_the_earliest(
    processor: Processor, database: str
) -> None:
    processor.pieces += pieces(1, 10)
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 10)
    processor.pieces[:] = pieces(7, 12)
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 12)
    assert [one["from"] for one in processor.asked[-2:]] == ["after-5", "earliest"]
    assert ledgers(database) == twice(1, 12)


def test_sessions_that_ended_are_asked_for_more(processor: Processor, database: str) -> None:
    processor.pieces += pieces(1, 4)
    processor.ends = True
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 4)
        processor.pieces += pieces(5, 6)
        until(lambda: stats.committed_ledger == 6)
    assert ledgers(database) == twice(1, 6)


def test_a_ledger_in_several_batches_is_taken_whole(processor: Processor, database: str) -> None:
    one, other = (batch(5, 5, [entry(5, f"k{place}", place=place)]) for place in (0, 1))
    half = sa.LedgerBatch(one.first, one.last, one.tables, replace(one.run, count=HALF))
    processor.pieces += [*pieces(1, 4), half]
    with consuming(processor, database) as stats:
        until(lambda: stats.records_received == 9)
        until(lambda: stats.committed_ledger == 4)
        assert ledgers(database) == twice(1, 4)
        processor.breaks_after = 0
        processor.stop()
        processor.start()
        until(lambda: stats.records_received == 10)  # the half came again
        processor.pieces.append(other)
        until(lambda: stats.committed_ledger == 5)
    assert ledgers(database) == twice(1, 5)


def test_a_ledger_sent_again_by_a_later_session_is_taken_once(processor: Processor, database: str) -> None:
    processor.pieces += [*pieces(1, 4), *pieces(4, 6)]
    with consuming(processor, database) as stats:
        until(lambda: stats.committed_ledger == 6)
    assert ledgers(database) == twice(1, 6)
