"""Sessions over restarts and crashes: what goes on, what is remembered, and what is refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pyarrow import flight

import stellarrow as sa
from fakes.process import free_port
from stellarrow import registry
from stellarrow.core.synthetic import synthetic
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.session import Status
from stellarrow.processor.session_store import _COLUMNS, digest
from stellarrow.spool.segment import Segment

from .conftest import Endless, Service, Start
from .test_sessions import message, until

Expected = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def begun(start: Start, endless: Endless) -> tuple[Path, str]:
    """A state folder with a session that is to go on behind ledger 110, and its id."""
    service = start(endless)
    endless.give(110)
    session = service.processor.start(100, 139).id
    until(lambda: service.processor.work(session).session.current == 110)
    service.close()
    return service.processor.options.state_dir, session


def node_away() -> sa.Source:
    return registry.open_source(f"rpc+http://127.0.0.1:{free_port()}")


def test_a_processor_that_ends_while_its_node_is_away_goes_on_when_both_are_back(
    start: Start, endless: Endless, begun: tuple[Path, str]
) -> None:
    _, session = begun
    service = start(node_away)
    until(lambda: service.processor.work(session).source)
    service.close()
    assert service.processor.work(session).session.status is Status.RUNNING
    endless.give(139)
    assert start(endless).finished(session) is Status.STOPPED


def test_a_session_is_stopped_while_its_node_is_away(start: Start) -> None:
    service = start(node_away)
    session = service.processor.start(100).id
    until(lambda: service.processor.work(session).source)
    assert service.control("StopProcessing", session_id=session).success
    assert service.finished(session) is Status.STOPPED
    assert message(service, session) == ""


def test_a_session_does_not_go_on_with_ledgers_of_another_network(
    start: Start, begun: tuple[Path, str]
) -> None:
    _, session = begun
    other = tuple(islice(synthetic(20, first=100, ledger_bytes=20_000, network="testnet"), 40))
    chain = Endless(other, network="testnet")
    chain.give(139)
    service = start(chain)
    assert service.finished(session) is Status.ERROR
    assert "began with ledgers of synthetic, and now they are of testnet" in message(service, session)


def test_a_session_does_not_go_on_with_a_chain_that_was_reset(start: Start, begun: tuple[Path, str]) -> None:
    _, session = begun
    chain = Endless(tuple(islice(synthetic(7, first=100, ledger_bytes=20_000), 40)))
    chain.give(139)
    service = start(chain)
    assert service.finished(session) is Status.ERROR
    assert "ledger 110, which the session keeps, has" in message(service, session)
    assert service.tables.path("ledgers").num_rows == 11


def test_what_an_ended_session_kept_and_cannot_be_read_is_told_to_readers(start: Start) -> None:
    service = start()
    session, other = (service.processor.start(*ends).id for ends in ((100, 139), (100, 109)))
    for one in (session, other):
        service.finished(one)
    service.close()
    folder = service.processor.options.state_dir / "sessions" / session
    facts = folder / "spool.json"
    facts.write_text(facts.read_text().replace("Synthetic", "Another"))
    again = start()
    stream = again.tables.client.do_get(flight.Ticket(b'{"table": "ledgers"}'))
    assert sum(stream.read_chunk().data.num_rows for _ in range(2)) == 10  # of the other
    with pytest.raises(flight.FlightInternalError, match=f"session {session}: what it kept cannot be read"):
        stream.read_chunk()
    assert str(folder) in message(again, session)
    again.close()
    shutil.rmtree(folder)
    assert start().tables.path("ledgers").num_rows == 10


@pytest.mark.parametrize("moment", ["before", "after"])
def test_counts_are_of_what_a_crash_left_durable(
    start: Start, endless: Endless, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    service = start(endless)
    endless.give(110)
    session = service.processor.start(100, 139).id
    until(lambda: service.processor.work(session).session.current == 110)
    crashed = tmp_path / "crashed"
    commit = Segment.commit

    def crashing(segment: Segment) -> None:
        if moment == "after":
            commit(segment)
        if not crashed.exists():
            shutil.copytree(service.processor.options.state_dir, crashed)
        commit(segment)

    monkeypatch.setattr(Segment, "commit", crashing)
    endless.give(139)
    service.finished(session)
    with closing(Processor(endless, Options(state_dir=crashed))) as processor:
        left = processor.work(session)
        assert left.spool is not None
        rows = [piece.rows for piece in left.spool.read("contract_data@2.0", after=0)]
        counts = left.session.counts
        assert left.session.current == left.spool.last
        assert (left.spool.last > 110) == (moment == "after")
        assert (counts.ledgers, counts.entries) == (left.spool.last - 99, sum(one.num_rows for one in rows))
        given = (endless.chunk(ledger, lambda: True) for ledger in range(100, left.spool.last + 1))
        assert counts.bytes == sum(len(one.data) for one in given if one)


def fill(service: Service, *, full: bool = True) -> None:
    """Let what the processor remembers be on a disk that is full, or no longer."""
    service.processor._store._database.execute(f"pragma query_only = {full:d}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stellarrow.processor.session_worker._RETRY_SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
def test_a_session_whose_end_cannot_be_remembered_yet_waits_for_that(
    start: Start, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(endless)
    endless.give(138)
    session = service.processor.start(100, 139).id
    work = service.processor.work(session)
    until(lambda: work.session.current == 138)
    commit = Segment.commit

    def filling(segment: Segment) -> None:
        commit(segment)
        fill(service)

    monkeypatch.setattr(Segment, "commit", filling)
    endless.give(139)
    until(lambda: "cannot be used" in message(service, session))
    assert work.session.status is Status.RUNNING
    fill(service, full=False)
    assert service.finished(session) is Status.STOPPED
    assert work.session.counts.ledgers == 40


@pytest.mark.usefixtures("quick")
def test_a_session_stops_also_when_that_cannot_be_remembered_yet(start: Start, endless: Endless) -> None:
    service = start(endless)
    endless.give(110)
    session = service.processor.start(100).id
    until(lambda: service.processor.work(session).session.current == 110)
    fill(service)
    with pytest.raises(sa.SinkUnavailable):
        service.processor.stop(session)
    assert service.processor.work(session).session.status is Status.RUNNING
    until(lambda: "cannot be used" in message(service, session))
    fill(service, full=False)
    assert service.finished(session) is Status.STOPPED
    assert service.processor.work(session).session.current == 110


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("is_blocked", [True, False])
def test_a_session_whose_folder_is_away_waits_for_it(
    start: Start, endless: Endless, begun: tuple[Path, str], is_blocked: bool
) -> None:
    state, session = begun
    folder = state / "sessions" / session
    aside = folder.rename(state / "aside")
    if is_blocked:
        folder.touch()
    service = start(endless)
    endless.give(139)
    until(lambda: message(service, session).startswith("paused: the spool in"))
    with pytest.raises(flight.FlightInternalError, match=f"session {session}: paused: the spool in"):
        service.tables.read(table="ledgers", follow=False)
    assert service.processor.work(session).session.status is Status.RUNNING
    folder.unlink(missing_ok=True)
    aside.rename(folder)
    assert service.finished(session) is Status.STOPPED
    assert service.tables.path("ledgers").num_rows == 40


def changed(state: Path, statement: str) -> None:
    database = sqlite3.connect(state / "sessions.sqlite3")
    database.create_function("signed", -1, lambda *row: digest(row))
    database.execute(statement)
    database.commit()
    database.close()


def sign(state: Path) -> None:
    """Let what was changed be what was meant."""
    changed(state, f"update sessions set digest = signed({', '.join(_COLUMNS)})")


def test_a_state_folder_of_a_newer_version_is_refused_in_a_sentence(
    start: Start, begun: tuple[Path, str]
) -> None:
    state, _ = begun
    changed(state, "pragma user_version = 99")
    with pytest.raises(sa.ConfigError, match=r"sessions\.sqlite3 cannot be read, as by a newer version"):
        start()


@pytest.mark.parametrize(
    "statement",
    [
        "update sessions set status = 'PAUSED'",
        'update sessions set counts = \'{"ledgers": 1, "new": 2}\'',
        "update sessions set tables = '[\"contract_data@9.0\"]'",
    ],
)
def test_a_session_that_a_newer_version_wrote_fails_alone(
    start: Start, begun: tuple[Path, str], statement: str
) -> None:
    state, session = begun
    changed(state, statement)
    sign(state)
    service = start()
    assert service.processor.work(session).session.status is Status.ERROR
    assert "what is remembered of it cannot be read" in message(service, session)
    assert service.finished(service.processor.start(100, 139).id) is Status.STOPPED
    assert service.tables.path("ledgers").num_rows == 40


def test_a_filter_that_a_newer_version_wrote_is_refused_in_a_sentence(
    start: Start, begun: tuple[Path, str]
) -> None:
    state, _ = begun
    newer = json.dumps({"newer": []})
    changed(state, f"insert into filter values (1, '{newer}', signed('{newer}'))")
    with pytest.raises(sa.ConfigError, match=r"the filter in .* cannot be read, as by a newer version"):
        start()


def test_a_state_folder_from_before_formats_had_a_number_goes_on(
    start: Start, endless: Endless, begun: tuple[Path, str]
) -> None:
    state, session = begun
    for column in ("hash", "ahead", "digest"):
        changed(state, f"alter table sessions drop column {column}")
    changed(state, "alter table filter drop column digest")
    changed(state, "pragma user_version = 0")
    endless.give(139)
    service = start(endless)
    assert service.finished(session) is Status.STOPPED
    assert service.tables.path("ledgers").num_rows == 40


def test_rows_of_each_table_are_counted_over_restarts(start: Start) -> None:
    service = start()
    session = service.processor.start(100, 139).id
    service.finished(session)
    counted = service.processor.work(session).rows
    assert counted["ledgers"] == 40
    service.close()
    assert start().processor.work(session).rows == counted
