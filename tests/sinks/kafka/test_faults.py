"""Writers, brokers and connections that die: readers that are not ours judge what is left."""

from __future__ import annotations

import random
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex

import pytest

import stellarrow as sa
from fakes.kafka import Broker
from fakes.toxiproxy import Proxy, Toxiproxy
from sinks.kafka.reader import PlainConsumer
from sinks.killing import kill_four_at_once
from stellarrow.core.framing import frame
from stellarrow.net.resilience import Policy
from stellarrow.sinks.kafka import KafkaSink, transaction

TABLES = ("ledgers", "contract_data")
FIRST, LAST = 100, 139
_PATIENT = Policy(attempts=200, first_wait=0.05, longest_wait=0.5, failures_to_open=10_000)
_SECONDS = 300.0  # for what takes ten on a machine of its own


@dataclass
class Topics:
    """Topics of a test's own, and what should be in them."""

    broker: Broker
    consumer: PlainConsumer
    ledgers: tuple[bytes, ...]
    prefix: str = ""

    def url(self, address: str = "") -> str:
        return f"kafka://{address or self.broker.address}/?topic_prefix={self.prefix}"

    def batch(self, first: int, last: int) -> sa.LedgerBatch:
        data = frame(self.ledgers[first - FIRST : last - FIRST + 1], "record-marked")
        chunk = sa.LedgerChunk(data, "record-marked", first, last, "memory")
        return sa.Decoder(TABLES, network="synthetic")(chunk)

    def bring(self, address: str = "", ledgers: range = range(FIRST, LAST + 1)) -> None:
        """Bring ledgers one by one, as patiently as a service."""
        with closing(KafkaSink(self.url(address), TABLES, network="synthetic", policy=_PATIENT)) as sink:
            for ledger in ledgers:
                sink.write(self.batch(ledger, ledger))
                sink.commit()

    def covered(self) -> sa.LedgerSet:
        with closing(KafkaSink(self.url(), TABLES, network="synthetic", policy=_PATIENT)) as sink:
            return sink.coverage()

    def rows(self, table: str, isolation: str = "read_committed") -> Counter[int]:
        found = self.consumer.rows(f"{self.prefix}{table}", isolation)
        return Counter(row["ledger_sequence"] for row in found)

    def assert_right(self) -> None:
        """Check with a plain consumer that each ledger that is covered is there once, and no other."""
        covered = self.covered()
        for table in TABLES:
            assert dict(self.rows(table)) == self.due(table, covered)

    def due(self, table: str, covered: sa.LedgerSet) -> dict[int, int]:
        made = Counter(
            row["ledger_sequence"]
            for part in covered
            for row in self.batch(part.first, part.end).tables[table].to_pylist()
        )
        return dict(made)

    def has_more_than(self, ledgers: int) -> bool:
        return self.rows("ledgers").total() > ledgers

    def torn(self) -> int:
        """Return how many rows of transactions that came to nothing lie between the others."""
        either = self.rows("ledgers", "read_uncommitted").total()
        return either - self.rows("ledgers").total()


@pytest.fixture
def topics(kafka: Broker, consumer: PlainConsumer, ledgers: tuple[bytes, ...]) -> Topics:
    return Topics(kafka, consumer, ledgers, f"{token_hex(4)}.")


@pytest.fixture
def proxied(kafka: Broker, toxiproxy: Toxiproxy) -> Iterator[Proxy]:
    """A way to the broker that can be cut, by which it tells clients to come again, too."""
    made = toxiproxy.proxy("kafka", f"127.0.0.1:{kafka.proxied}", f"127.0.0.1:{kafka.proxy}")
    yield made
    made.heal()


def running(work: Callable[[], None]) -> Callable[[], None]:
    """Do work in a thread; what is returned waits for it, and raises what went wrong."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()

    def done() -> None:
        thread.join(_SECONDS)
        assert not thread.is_alive(), "it does not come to an end"
        if failed:
            raise failed[0]

    return done


def kill_four_writers(topics: Topics, forks: subprocess.Popen[str], times: int) -> tuple[int, int]:
    """Kill four writers of the same ledgers at once, again and again.

    Return how many died within a commit, and how many rows of transactions lay there that came to nothing.
    """
    dice = random.Random(times)  # noqa: S311
    inside = torn = 0
    for _ in range(times):
        topics.prefix = f"{token_hex(4)}."
        opening = (
            "from sinks.kafka.stepping import stepping_cluster\n"
            "from stellarrow.sinks.kafka import KafkaSink\n"
            f"sink = KafkaSink(stepping_cluster({topics.url()!r}, step), {TABLES!r}, network='synthetic')"
        )
        inside += kill_four_at_once(forks, dice, opening, TABLES, range(FIRST, LAST + 1))
        if topics.covered():
            topics.assert_right()
        topics.bring()
        assert str(topics.covered()) == f"{FIRST}:{LAST}"
        topics.assert_right()
        torn += topics.torn()
    return inside, torn


def test_four_writers_killed_at_once_leave_each_ledger_once(
    topics: Topics, forks: subprocess.Popen[str]
) -> None:
    inside, _ = kill_four_writers(topics, forks, 2)
    assert inside >= 2


@pytest.mark.slow
def test_four_writers_killed_at_fifty_moments_leave_each_ledger_once(
    topics: Topics, forks: subprocess.Popen[str]
) -> None:
    inside, torn = kill_four_writers(topics, forks, 50)
    print(f"{inside} writers died within a commit, which left {torn} rows that no reader of commits sees")
    assert torn > 0, "none was killed between its rows and its commit"


def test_a_java_consumer_sees_each_ledger_once_where_writers_took_over_from_each_other(
    topics: Topics,
) -> None:
    writers = [running(topics.bring) for _ in range(2)]
    for done in writers:
        done()
    source = Path(__file__).with_name("PlainConsumer.java")
    for table in TABLES:
        argv = ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{topics.broker.jars}/*"]
        argv += [str(source), topics.broker.address, f"{topics.prefix}{table}"]
        done_java = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS)
        assert done_java.returncode == 0, done_java.stderr
        lines = [line.split() for line in done_java.stdout.splitlines()]
        found = {int(ledger): int(rows) for ledger, rows in lines}
        assert found == topics.due(table, sa.LedgerSet.parse(f"{FIRST}:{LAST}"))


def test_a_broker_that_is_killed_and_started_again_loses_and_doubles_nothing(topics: Topics) -> None:
    topics.bring(ledgers=range(FIRST, FIRST + 3))
    done = running(topics.bring)
    try:
        for _ in range(2):
            reached = topics.rows("ledgers").total()
            wait_for(partial(topics.has_more_than, min(reached, LAST - FIRST)))
            topics.broker.process.kill()
            topics.broker.process.start()
    finally:
        if topics.broker.process.has_ended():
            topics.broker.process.start()
    done()
    assert str(topics.covered()) == f"{FIRST}:{LAST}"
    topics.assert_right()


def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(
    topics: Topics, proxied: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_COMMIT_SECONDS", 2.0)
    monkeypatch.setattr(transaction, "_STILL_SECONDS", 2.0)
    stop = threading.Event()

    def cut() -> None:
        dice = random.Random(7)  # noqa: S311
        while not stop.wait(dice.uniform(0.3, 1.5)):
            proxied.disable()
            stop.wait(dice.uniform(0.0, 0.2))
            proxied.enable()

    done = running(cut)
    try:
        topics.bring(f"127.0.0.1:{topics.broker.proxy}")
    finally:
        stop.set()
        done()
    assert str(topics.covered()) == f"{FIRST}:{LAST}"
    topics.assert_right()


def test_an_answer_to_a_commit_that_never_comes_is_found_out_by_taking_over(
    topics: Topics, proxied: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_COMMIT_SECONDS", 1.0)
    monkeypatch.setattr(transaction, "_STILL_SECONDS", 1.0)
    address = f"127.0.0.1:{topics.broker.proxy}"
    with closing(KafkaSink(topics.url(address), TABLES, network="synthetic", policy=_PATIENT)) as sink:
        sink.write(topics.batch(100, 104))
        sink.commit()
        sink.write(topics.batch(105, 109))
        proxied.add("timeout", timeout=0)  # what is asked arrives; nothing comes back
        healing = threading.Timer(3.0, proxied.heal)
        healing.start()
        sink.commit()  # returns once the way is free again, and the outcome is known
        healing.join()
        assert str(sink.coverage()) == "100:109"
    topics.assert_right()


def wait_for(is_so: Callable[[], bool]) -> None:
    ticking, left = threading.Event(), _SECONDS
    while not is_so():
        assert left > 0, "it never came"
        ticking.wait(0.02)
        left -= 0.02
