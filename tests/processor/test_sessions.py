"""Sessions where places fail: full disks, readers that lag, sources that go away."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.processor.session import Status
from stellarrow.spool.retention import Retention
from stellarrow.storage import atomic

from .conftest import Endless, Service, Start

Expected = Callable[..., list[dict[str, Any]]]


def until(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def message(service: Service, session: str) -> str:
    return str(service.control("GetStatus", session_id=session).error_message)


def test_a_full_disk_pauses_a_session_which_then_goes_on(
    start: Start, endless: Endless, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.session_worker._RETRY_SECONDS", 0.05)
    service = start(endless)
    endless.give(110)
    session = service.processor.start(100, 139).id
    until(lambda: service.processor.work(session).session.current == 110)
    write = atomic.write_all
    room = threading.Event()

    def refusing(file: Any, data: Any) -> None:
        if not room.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, data)

    monkeypatch.setattr("stellarrow.spool.segment.write_all", refusing)
    endless.give(139)
    until(lambda: "No space left on device" in message(service, session))
    assert service.processor.work(session).session.status is Status.RUNNING
    room.set()
    assert service.finished(session) is Status.STOPPED
    assert message(service, session) == ""
    assert service.tables.path("contract_data").to_pylist() == expected("contract_data")


def test_a_spool_full_of_what_a_reader_needs_pauses_the_session_and_drops_nothing(
    start: Start, endless: Endless, expected: Expected
) -> None:
    service = start(endless, retention=Retention(size_bytes=200_000), batch_size=1)
    session = service.processor.start(100, 139).id
    endless.give(100)
    work = service.processor.work(session)
    until(lambda: work.session.current == 100)
    assert work.spool is not None
    work.spool._segment_bytes = 20_000  # many segments, so that some can go
    work.spool.register("a slow reader", after=100)
    endless.give(139)
    until(lambda: "paused: the spool is full of what 1 reader has not taken yet" in message(service, session))
    until(lambda: work.session.current == work.spool.last)  # type: ignore[union-attr]
    reached = work.spool.last
    assert 100 < reached < 139
    rows = [piece.rows.to_pylist() for piece in work.spool.read("ledgers@1.0", after=100)]
    assert [row for piece in rows for row in piece] == expected("ledgers", 101, reached)
    work.spool.register("a slow reader", after=reached)
    until(lambda: work.session.current > reached)
    assert service.control("StopProcessing", session_id=session).success  # also while it is paused
    assert service.finished(session) is Status.STOPPED


class Flaky:
    """A source over the chain that refuses to be read for a while."""

    def __init__(self, chain: Endless) -> None:
        self._chain = chain
        self.is_down = False

    def __call__(self) -> Any:
        inner = self._chain()
        read = inner.read

        def reading(ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
            for chunk in read(ledgers):
                if self.is_down:
                    raise sa.SourceUnavailable("the node at 127.0.0.1 does not answer")
                yield chunk

        inner.read = reading  # type: ignore[method-assign]
        return inner


def test_a_session_that_has_worked_outlasts_its_source(
    start: Start, endless: Endless, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.session_worker._RETRY_SECONDS", 0.05)
    source = Flaky(endless)
    service = start(source)
    session = service.processor.start(100, 139).id
    endless.give(110)
    until(lambda: service.processor.work(session).session.current == 110)
    source.is_down = True
    endless.give(139)
    until(lambda: "paused: the node at 127.0.0.1 does not answer" in message(service, session))
    source.is_down = False
    assert service.finished(session) is Status.STOPPED
    assert service.tables.path("ledgers").to_pylist() == expected("ledgers")


def test_a_session_that_never_worked_fails_with_its_source(start: Start, endless: Endless) -> None:
    source = Flaky(endless)
    source.is_down = True
    endless.give(139)
    service = start(source)
    session = service.processor.start(100, 139).id
    assert service.finished(session) is Status.ERROR
    assert message(service, session) == "the node at 127.0.0.1 does not answer"


def test_running_sessions_go_on_after_a_restart_and_stopped_ones_do_not(
    start: Start, endless: Endless, expected: Expected
) -> None:
    service = start(endless)
    endless.give(119)
    running, stopped = (service.processor.start(100, 139).id for _ in range(2))
    for session in (running, stopped):
        until(lambda: service.processor.work(session).session.current == 119)  # noqa: B023
    service.control("StopProcessing", session_id=stopped)
    service.finished(stopped)
    service.close()
    endless.give(139)
    again = start(endless)
    assert again.finished(running) is Status.STOPPED
    assert again.processor.work(stopped).session.current == 119
    rows = again.tables.path("ledgers").to_pylist()
    assert sorted(row["ledger_sequence"] for row in rows) == sorted([*range(100, 140), *range(100, 120)])
    assert again.processor.work(running).session.counts.entries == len(expected("contract_data"))


def test_the_output_of_sessions_that_ended_goes_when_it_is_old(start: Start) -> None:
    service = start(retention=Retention(age=1.0))
    session = service.processor.start(100, 139).id
    service.finished(session)
    begun = service.tables.read(table="contract_data", most=1)
    folder = service.processor.options.state_dir / "sessions" / session
    until(lambda: not folder.exists())  # nobody need ask for it
    assert service.control("GetStatus", session_id=session).current_ledger == 139
    for _ in ("now", "after a start that keeps everything"):
        with pytest.raises(KeyError, match="keeps nothing any more: ask for a range"):
            service.tables.read(table="contract_data", **{"from": begun.resume})  # type: ignore[arg-type]
        service.close()
        service = start()
