"""When the pipeline commits, and how it ends when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

import stellarrow as sa
from memory import MemorySink, MemorySource


class LiveSource(MemorySource):
    """Give each ledger when it is let out, and none after close."""

    def __init__(self, ledgers: dict[int, bytes]) -> None:
        super().__init__(ledgers, size=1)
        self.let = threading.Semaphore(0)

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        for chunk in super().read(ledgers):
            self.let.acquire()
            yield chunk
        self.let.acquire()


class SlowSink(MemorySink):
    """Take its time over every batch."""

    def write(self, batch: sa.LedgerBatch) -> None:
        time.sleep(0.02)
        super().write(batch)


@pytest.fixture
def numbered(ledgers: tuple[bytes, ...]) -> dict[int, bytes]:
    return dict(enumerate(ledgers, 100))


class Run(threading.Thread):
    """A run in a thread."""

    def __init__(self, source: sa.Source, sink: sa.Sink, **choices: object) -> None:
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.seen: list[int | None] = []
        self.report: sa.Report | None = None
        self._work = (source, sink, choices)
        self.start()

    def run(self) -> None:
        source, sink, choices = self._work
        self.report = sa.run(
            source,
            tables=["ledgers"],
            sinks=[sink],
            network="synthetic",
            stop=self.stop,
            progress=lambda state: self.seen.append(state.committed),
            **choices,  # type: ignore[arg-type]
        )


def wait_for(sink: MemorySink, coverage: str) -> None:
    deadline = time.monotonic() + 60
    while str(sink.coverage()) != coverage:
        assert time.monotonic() < deadline, sink.coverage()
        time.sleep(0.005)


def ended(run: Run, within: float) -> sa.Report:
    run.join(within)
    assert run.report is not None
    return run.report


def test_who_follows_has_every_ledger_durable_at_once(numbered: dict[int, bytes]) -> None:
    source, sink = LiveSource(numbered), MemorySink()
    run = Run(source, sink, ledgers="100:")
    for last in range(100, 105):
        source.let.release()
        wait_for(sink, str(sa.LedgerRange(100, last)))
    run.stop.set()
    report = ended(run, 20)
    assert (str(report.ranges), report.stopped) == ("100:104", True)
    assert run.seen[-1] is not None


def test_a_slow_source_loses_little_in_a_batch_run(numbered: dict[int, bytes]) -> None:
    class Timed(MemorySink):
        waited = 0.0

        def write(self, batch: sa.LedgerBatch) -> None:
            self.waited -= time.monotonic()
            super().write(batch)

        def commit(self) -> None:
            self.waited += time.monotonic()
            super().commit()

    source, sink = LiveSource(numbered), Timed()
    run = Run(source, sink, ledgers="100:139", commit_every=0.3)
    source.let.release()
    wait_for(sink, "100")
    assert sink.waited >= 0.29
    run.stop.set()
    ended(run, 20)


def test_a_batch_run_commits_only_when_it_is_due(numbered: dict[int, bytes]) -> None:
    class Counting(MemorySink):
        commits = 0

        def commit(self) -> None:
            self.commits += 1
            super().commit()

    sink = Counting()
    sa.run(MemorySource(numbered, size=1), tables=["ledgers"], sinks=[sink], network="synthetic")
    assert sink.commits == 1


def test_told_to_stop_it_finishes_what_is_in_hand_and_goes_on_later(numbered: dict[int, bytes]) -> None:
    sink = SlowSink()
    run = Run(MemorySource(numbered, size=1), sink, ledgers="100:139")
    while len(sink.pending) < 5:
        time.sleep(0.005)
    run.stop.set()
    report = ended(run, 20)
    assert report.stopped
    assert str(report.ranges) == str(sink.coverage()) == f"100:{99 + report.ledgers}"
    assert 5 <= report.ledgers < 40
    again = sa.run(MemorySource(numbered), tables=["ledgers"], sinks=[sink], network="synthetic")
    assert (again.stopped, sink.rows) == (False, list(range(100, 140)))


def test_told_to_stop_before_it_began_it_does_nothing(numbered: dict[int, bytes]) -> None:
    stop, source = threading.Event(), MemorySource(numbered)
    stop.set()
    report = sa.run(source, tables=["ledgers"], sinks=[], network="synthetic", stop=stop)
    assert (report.ledgers, report.stopped, source.taken) == (0, True, 0)


def test_a_source_that_was_waiting_when_told_to_stop_is_no_error(numbered: dict[int, bytes]) -> None:
    class Guarded(LiveSource):
        def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
            yield from MemorySource.read(self, sa.LedgerRange(ledgers.first, 104))
            self.let.acquire()
            raise sa.Stopped("told to stop")

    source, sink = Guarded(numbered), MemorySink()
    run = Run(source, sink, ledgers="100:139")
    while len(sink.pending) < 5:
        time.sleep(0.005)
    run.stop.set()
    source.let.release()
    assert str(ended(run, 20).ranges) == "100:104"


def test_a_slow_sink_holds_the_source_back(
    numbered: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.pipeline.loop.weight", lambda _: 1 << 20)
    source, sink = MemorySource(numbered, size=1), SlowSink()
    ahead: list[int] = []
    sa.run(
        source,
        tables=["ledgers"],
        sinks=[sink],
        network="synthetic",
        budget_mb=2,
        progress=lambda state: ahead.append(source.taken - state.ledgers),
    )
    assert max(ahead) <= 4  # two in flight, one in hand, one at the door


def test_a_sink_that_goes_on_by_itself_is_left_to_it(numbered: dict[int, bytes]) -> None:
    class Eager(SlowSink):
        asked = 0

        def write(self, batch: sa.LedgerBatch) -> None:
            super().write(batch)
            super().commit()

        def commit(self) -> None:
            self.asked += 1
            super().commit()

    sink = Eager()
    source = MemorySource(numbered, size=1)
    report = sa.run(source, tables=["ledgers"], sinks=[sink], network="synthetic", commit_every=0.05)
    assert (str(report.ranges), sink.rows) == ("100:139", list(range(100, 140)))
    assert sink.asked <= 1  # at the end alone, if the clock did not see just then that all is durable
