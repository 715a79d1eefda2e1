"""Processors that share their sessions: a client that one of them leaves alone goes on at another."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pyarrow import flight

import stellarrow as sa
from stellarrow.errors import Damaged, NetworkMismatch, Unavailable
from stellarrow.processor import replicas
from stellarrow.processor.reads.cursor import Cursor, Place
from stellarrow.processor.reads.request import parse
from stellarrow.processor.session import Status
from stellarrow.processor.shared_sessions import Shared, SharedSessions
from stellarrow.records.in_folder import FolderRecords
from stellarrow.servers import processor_http

from .conftest import Endless, Received, Service, Start
from .test_sessions import until

Begin = Callable[..., Service]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def replica(start: Start, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Start a replica with a state folder of its own."""
    monkeypatch.setattr(replicas, "_LOOK_SECONDS", 0.05)

    def make(name: str, source: Any = None, network: str | None = None, **options: Any) -> Service:
        shared = SharedSessions(FolderRecords(place), network=sa.Network.of(network) if network else None)
        return start(source, shared, state_dir=tmp_path / name, **options)

    return make


def sessions_of(service: Service) -> set[str]:
    return {work.session.id for work in service.processor.works()}


def held(place: Path) -> bytes:
    """What is shared, as it is written."""
    record = FolderRecords(place).get("sessions.json")
    assert record is not None
    return record.data


def resumed(service: Service, table: str, token: str) -> Received:
    asked: dict[str, Any] = {"table": table, "from": token}
    return service.tables.read(**asked)


def test_every_resume_token_of_one_replica_is_good_at_another(
    replica: Begin, expected: Callable[..., list[dict[str, Any]]]
) -> None:
    first, second = replica("first"), replica("second")
    session = first.processor.start(100, 139).id
    golden = expected("contract_events")
    whole = first.tables.read(table="contract_events")
    assert whole.rows == golden
    read = 0
    for batch, told in list(zip(whole.batches, whole.told, strict=True))[::7]:
        read = sum(one.num_rows for one in whole.batches[: whole.told.index(told) + 1])
        rest = resumed(second, "contract_events", told["resume"])
        assert golden[:read] + rest.rows == golden, batch
    assert read > 0
    assert sessions_of(second) == {session}


def test_a_client_goes_on_at_a_replica_that_is_behind_the_one_it_left(
    replica: Begin,
    endless: Endless,
    ledgers: tuple[bytes, ...],
    expected: Callable[..., list[dict[str, Any]]],
) -> None:
    behind = Endless(ledgers)
    first, second = replica("first", endless), replica("second", behind)
    endless.give(139)
    first.processor.start(100, 139)
    begun = first.tables.read(table="contract_events", most=40)
    first.close()
    behind.give(139)
    rest = resumed(second, "contract_events", begun.resume)
    assert begun.rows + rest.rows == expected("contract_events")


def test_a_session_that_is_stopped_at_one_replica_ends_at_all(replica: Begin, endless: Endless) -> None:
    first, second = replica("first", endless), replica("second", endless)
    endless.give(110)
    session = first.control("StartProcessing", start_ledger=100).session_id
    until(lambda: session in sessions_of(second))
    assert second.control("StopProcessing", session_id=session).success
    assert first.finished(session) is Status.STOPPED
    assert second.finished(session) is Status.STOPPED
    late = replica("late", endless)
    assert sessions_of(late) == set()


def test_a_filter_that_is_configured_at_one_replica_holds_at_all(replica: Begin, endless: Endless) -> None:
    first, second = replica("first", endless), replica("second", endless)
    first.control("ConfigureFilters", asset_codes=["USD"], include_deleted=True)
    wanted = sa.Filter(asset_codes=("USD",))
    until(lambda: second.processor.where == wanted)
    assert first.processor.where == wanted
    assert replica("late", endless, where=sa.Filter(asset_codes=("EUR",))).processor.where == wanted


def test_replicas_that_begin_the_same_ledgers_have_one_session_of_them(replica: Begin) -> None:
    first, second = replica("first"), replica("second")
    begun = {one.processor.start(100, 139, once=True).id for one in (first, second)}
    assert len(begun) == 1
    until(lambda: sessions_of(first) == sessions_of(second) == begun)
    assert first.finished(*begun) is Status.STOPPED
    assert second.finished(*begun) is Status.STOPPED


def test_a_session_that_has_ended_is_taken_up_once_a_client_asks_for_it(
    replica: Begin, place: Path, expected: Callable[..., list[dict[str, Any]]]
) -> None:
    first = replica("first")
    session = first.processor.start(100, 139).id
    begun = first.tables.read(table="contract_events", most=40)
    first.finished(session)
    until(lambda: b'"ended_at": 0.0' not in held(place))
    first.close()
    late = replica("late")
    assert sessions_of(late) == set()
    rest = resumed(late, "contract_events", begun.resume)
    assert begun.rows + rest.rows == expected("contract_events")
    assert late.control("GetStatus", session_id=session).current_ledger == 139


def test_what_ran_before_it_was_shared_is_shared_then(replica: Begin, start: Start, tmp_path: Path) -> None:
    alone = start(state_dir=tmp_path / "first")
    session = alone.processor.start(100, 139).id
    alone.finished(session)
    alone.close()
    replica("first")
    status = replica("second").control("GetStatus", session_id=session).status
    assert status in (Status.STARTING, Status.RUNNING, Status.STOPPING, Status.STOPPED)


def test_an_id_that_no_replica_knows_is_not_found(replica: Begin) -> None:
    one = replica("first")
    with pytest.raises(grpc.RpcError) as caught:
        one.control("GetStatus", session_id=str(uuid.uuid4()))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_while_the_shared_record_is_away_what_is_known_goes_on_and_nothing_new_begins(
    replica: Begin, endless: Endless, place: Path
) -> None:
    one = replica("first", endless)
    session = one.processor.start(100).id
    aside = place.rename(place.with_name("aside"))
    place.write_text("in the way")
    until(lambda: one.processor.replicas and one.processor.replicas.trouble)
    checks = {part.check().name: part.check() for part in processor_http.components(one.processor)}
    assert "cannot be used" in checks["shared sessions"].message
    endless.give(120)
    until(lambda: one.processor.work(session).session.current == 120)
    with pytest.raises(Unavailable, match=r"the shared records in .* cannot be used"):
        one.processor.start(100)
    with pytest.raises(flight.FlightUnavailableError):
        resumed(one, "ledgers", token_of_another(one))
    place.unlink()
    aside.rename(place)
    until(lambda: one.processor.replicas and not one.processor.replicas.trouble)
    assert one.processor.start(100).id != session


def token_of_another(service: Service) -> str:
    """A resume token of a session that only another replica can know."""
    shape = parse(b'{"table": "ledgers"}', service.processor.options.queries).shape
    return Cursor(shape, {str(uuid.uuid4()): Place(105)}).token()


def test_a_processor_of_another_network_is_no_replica(replica: Begin, place: Path) -> None:
    replica("first", network="synthetic").processor.start(100, 139)
    shared = SharedSessions(FolderRecords(place), network=sa.Network.of("testnet"))
    with pytest.raises(NetworkMismatch, match="is of synthetic, and this processor of testnet"):
        shared.read()


def test_a_record_that_is_damaged_or_newer_is_told_and_left(replica: Begin, place: Path) -> None:
    with pytest.raises(Damaged, match="is no record of sessions"):
        Shared.decode(b"{", "there")
    with pytest.raises(sa.ConfigError, match="is of format 2, not 1: update stellarrow"):
        Shared.decode(b'{"format": 2}', "there")
    assert FolderRecords(place).replace("sessions.json", b"{", of=None)
    one = replica("first")
    assert one.processor.replicas
    assert "put a sound copy back" in one.processor.replicas.trouble
    assert held(place) == b"{"
