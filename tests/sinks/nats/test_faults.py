"""Writers, servers and connections that die: a reader that is not ours judges what is left."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from secrets import token_hex

import pytest

import stellarrow as sa
from fakes.nats import NatsServer
from fakes.toxiproxy import Toxiproxy
from sinks.kafka.test_faults import running, wait_for
from sinks.killing import kill_four_at_once
from sinks.nats.reader import PlainReader
from stellarrow.core.framing import frame
from stellarrow.net.resilience import Policy
from stellarrow.sinks.nats import NatsSink, connection, stream

TABLES = ("ledgers", "contract_data")
FIRST, LAST = 100, 139
PATIENT = Policy(attempts=200, first_wait=0.05, longest_wait=0.5, failures_to_open=10_000)


@dataclass
class Streams:
    """A stream of a test's own, and what should be in it."""

    server: NatsServer
    ledgers: tuple[bytes, ...]
    name: str = ""
    replicas: int = 1

    def __post_init__(self) -> None:
        self.name = self.name or token_hex(4)

    @property
    def reader(self) -> PlainReader:
        return PlainReader(self.server.address)

    def url(self, address: str = "") -> str:
        return f"nats://{address or self.server.address}/?stream={self.name}&replicas={self.replicas}"

    def batch(self, first: int, last: int) -> sa.LedgerBatch:
        data = frame(self.ledgers[first - FIRST : last - FIRST + 1], "record-marked")
        chunk = sa.LedgerChunk(data, "record-marked", first, last, "memory")
        return sa.Decoder(TABLES, network="synthetic")(chunk)

    def bring(self, address: str = "", ledgers: range = range(FIRST, LAST + 1)) -> None:
        """Bring ledgers one by one, as patiently as a service."""
        with closing(NatsSink(self.url(address), TABLES, network="synthetic", policy=PATIENT)) as sink:
            for ledger in ledgers:
                sink.write(self.batch(ledger, ledger))
                sink.commit()

    def covered(self) -> sa.LedgerSet:
        with closing(NatsSink(self.url(), TABLES, network="synthetic", policy=PATIENT)) as sink:
            return sink.coverage()

    def rows(self, table: str) -> Counter[int]:
        found = self.reader.rows(self.name, f"{self.name}.{table}")
        return Counter(row["ledger_sequence"] for row in found)

    def assert_right(self) -> None:
        """Check by a plain consumer that each ledger that is covered is there once, and no other."""
        covered = self.covered()
        for table in TABLES:
            due = Counter(
                row["ledger_sequence"]
                for part in covered
                for row in self.batch(part.first, part.end).tables[table].to_pylist()
            )
            assert dict(self.rows(table)) == dict(due)

    def has_more_than(self, ledgers: int) -> bool:
        return self.rows("ledgers").total() > ledgers


@pytest.fixture
def streams(nats: NatsServer, ledgers: tuple[bytes, ...]) -> Streams:
    return Streams(nats, ledgers)


def kill_four_writers(streams: Streams, forks: subprocess.Popen[str], times: int) -> int:
    """Kill four writers of the same ledgers at once, again and again; return how many died in a commit."""
    dice = random.Random(times)  # noqa: S311
    inside = 0
    for _ in range(times):
        streams.name = token_hex(4)
        opening = (
            "from sinks.nats.stepping import stepping_stream\n"
            "from stellarrow.sinks.nats import NatsSink\n"
            f"sink = NatsSink(stepping_stream({streams.url()!r}, step), {TABLES!r}, network='synthetic')"
        )
        inside += kill_four_at_once(forks, dice, opening, TABLES, range(FIRST, LAST + 1))
        if streams.covered():
            streams.assert_right()
        streams.bring()
        assert str(streams.covered()) == f"{FIRST}:{LAST}"
        streams.assert_right()
    return inside


def test_four_writers_killed_at_once_leave_each_ledger_once(
    streams: Streams, forks: subprocess.Popen[str]
) -> None:
    assert kill_four_writers(streams, forks, 1)


@pytest.mark.slow
def test_four_writers_killed_at_fifty_moments_leave_each_ledger_once(
    streams: Streams, forks: subprocess.Popen[str]
) -> None:
    print(f"{kill_four_writers(streams, forks, 50)} writers died within a commit")


def test_three_writers_of_the_same_ledgers_at_once_leave_each_once(streams: Streams) -> None:
    writers = [running(partial(streams.bring, ledgers=range(FIRST, FIRST + 15))) for _ in range(3)]
    for done in writers:
        done()
    assert str(streams.covered()) == f"{FIRST}:{FIRST + 14}"
    streams.assert_right()


def test_a_server_that_is_killed_and_started_again_loses_and_doubles_nothing(streams: Streams) -> None:
    streams.bring(ledgers=range(FIRST, FIRST + 3))
    done = running(streams.bring)
    process = streams.server.process
    try:
        for _ in range(2):
            reached = streams.rows("ledgers").total()
            wait_for(partial(streams.has_more_than, min(reached, LAST - FIRST)))
            process.kill()
            process.start()
    finally:
        if process.has_ended():
            process.start()
    done()
    assert str(streams.covered()) == f"{FIRST}:{LAST}"
    streams.assert_right()


def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (connection, stream):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)


def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(
    streams: Streams, toxiproxy: Toxiproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _short_waits(monkeypatch)
    proxied = toxiproxy.proxy("nats", streams.server.address)
    stop = threading.Event()

    def cut() -> None:
        dice = random.Random(7)  # noqa: S311
        while not stop.wait(dice.uniform(0.05, 0.3)):
            proxied.disable()
            stop.wait(dice.uniform(0.0, 0.1))
            proxied.enable()

    done = running(cut)
    try:
        streams.bring(proxied.address)
    finally:
        stop.set()
        done()
        proxied.heal()
    assert str(streams.covered()) == f"{FIRST}:{LAST}"
    streams.assert_right()


def test_an_answer_to_a_commit_that_never_comes_is_found_out_by_reading(
    streams: Streams, toxiproxy: Toxiproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _short_waits(monkeypatch)
    proxied = toxiproxy.proxy("nats-answers", streams.server.address)
    url = streams.url(proxied.address)
    with closing(NatsSink(url, TABLES, network="synthetic", policy=PATIENT)) as sink:
        sink.write(streams.batch(100, 104))
        sink.commit()
        sink.write(streams.batch(105, 109))
        proxied.add("timeout", timeout=0)  # what is asked arrives; nothing comes back
        healing = threading.Timer(1.5, proxied.heal)
        healing.start()
        sink.commit()  # returns once the way is free again, and the outcome is known
        healing.join()
        assert str(sink.coverage()) == "100:109"
    streams.assert_right()
