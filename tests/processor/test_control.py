"""Sessions over gRPC."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import stellarrow as sa
from stellarrow.processor.session import Session, Status

from .conftest import Endless, Start

Expected = Callable[..., list[dict[str, Any]]]


@contextmanager
def refused(code: grpc.StatusCode, message: str) -> Iterator[None]:
    """Expect a call to end with this status, and these words."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code
    assert message in str(caught.value.details())


def test_a_session_is_started_watched_and_counted(start: Start, expected: Expected) -> None:
    service = start()
    answer = service.control("StartProcessing", start_ledger=100, end_ledger=139, batch_size=5)
    assert (answer.success, str(uuid.UUID(answer.session_id))) == (True, answer.session_id)
    assert service.finished(answer.session_id) is Status.STOPPED
    entries = len(expected("contract_data"))
    status = service.control("GetStatus", session_id=answer.session_id)
    assert (status.status, status.current_ledger, status.target_ledger) == (4, 139, 139)
    assert (status.entries_processed, status.error_message) == (entries, "")
    answer_shown = service.control("GetMetrics", session_id=answer.session_id)
    assert (answer_shown.contracts_processed, answer_shown.entries_skipped) == (entries, 0)
    assert answer_shown.batches_created >= entries / 5
    assert answer_shown.bytes_processed > 40 * 2_000
    assert answer_shown.processing_rate > 0
    assert answer_shown.last_update_time > 1_700_000_000


@pytest.mark.parametrize("method", ["StopProcessing", "GetStatus", "GetMetrics"])
def test_an_unknown_session_is_not_found(start: Start, method: str) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "there is no session 'nobody'"):
        start().control(method, session_id="nobody")


def test_a_session_id_of_any_length_is_shown_cut(start: Start) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        start().control("GetStatus", session_id="x" * 3_000_000)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert len(str(caught.value.details())) < 300


@pytest.mark.parametrize(
    ("method", "fields", "message"),
    [
        ("StartProcessing", {"start_ledger": 0}, "start_ledger is 0: name the first"),
        ("StartProcessing", {"start_ledger": 9, "end_ledger": 3}, "end_ledger is 3, before start_ledger 9"),
        ("StartProcessing", {"start_ledger": 9, "batch_size": 2**31}, "batch_size is 2147483648"),
        ("ConfigureFilters", {"contract_ids": ["CABC"]}, "contract_ids"),
        ("ConfigureFilters", {"asset_issuers": ["nobody"]}, "asset_issuers"),
    ],
)
def test_what_cannot_be_meant_is_an_invalid_argument(
    start: Start, method: str, fields: dict[str, Any], message: str
) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, message):
        start().control(method, **fields)


def test_a_session_told_to_stop_keeps_what_it_read(start: Start, endless: Endless) -> None:
    service = start(endless)
    session = service.control("StartProcessing", start_ledger=100).session_id
    service.reached(session, lambda status: status is Status.RUNNING)
    assert service.control("StopProcessing", session_id=session).success
    assert service.finished(session) is Status.STOPPED
    again = service.control("StopProcessing", session_id=session)
    assert (again.success, again.message) == (True, "the session had stopped before")


def test_filters_hold_from_one_ledger_on_and_are_remembered(
    start: Start, endless: Endless, expected: Expected
) -> None:
    service = start(endless)
    contract = expected("contract_data")[0]["contract_id"]
    endless.give(119)
    session = service.control("StartProcessing", start_ledger=100, end_ledger=139).session_id
    endless.wait_until_taken(119)
    answer = service.control("ConfigureFilters", contract_ids=[contract], include_deleted=True)
    assert answer.success
    endless.give(139)
    service.finished(session)
    rows = service.tables.path("contract_data").to_pylist()
    later = expected("contract_data", 120, 139, contract_ids=[contract])
    assert rows == expected("contract_data", 100, 119) + later
    answer_shown = service.control("GetMetrics", session_id=session)
    assert answer_shown.entries_skipped == len(expected("contract_data", 120, 139)) - len(later)
    service.close()
    assert start().processor.where.contract_ids == (contract,)


def test_which_events_are_wanted_is_for_the_settings_alone_whatever_filter_is_configured(
    start: Start,
) -> None:
    service = start(where=sa.Filter(event_types=["payment"]))
    assert service.control("ConfigureFilters", asset_codes=["XLM"], include_deleted=True).success
    assert service.processor.where == sa.Filter(event_types=["payment"], asset_codes=["native"])
    service.close()
    later = start(where=sa.Filter(event_types=["mint"]))
    assert later.processor.where == sa.Filter(event_types=["mint"], asset_codes=["native"])


@pytest.mark.parametrize(
    ("first", "last", "network", "message"),
    [
        (5, 9, None, "begins with ledger 100, so there is no ledger 5: start there, with 100:"),
        (130, 150, None, "ledger 140 and 10 more are missing"),
        (100, 139, "pubnet", "are of synthetic, not pubnet: fix NETWORK_PASSPHRASE"),
    ],
)
def test_what_cannot_be_processed_is_an_error_with_its_reason(
    start: Start, first: int, last: int, network: str | None, message: str
) -> None:
    service = start(network=sa.Network.of(network) if network else None)
    session = service.control("StartProcessing", start_ledger=first, end_ledger=last).session_id
    assert service.finished(session) is Status.ERROR
    assert message in service.control("GetStatus", session_id=session).error_message


def test_a_source_that_is_not_there_is_an_error_not_a_wait(start: Start, tmp_path: Path) -> None:
    from stellarrow.sources.files import FileSource  # noqa: PLC0415

    service = start(lambda: FileSource(tmp_path / "nowhere"), network=sa.Network.of("synthetic"))
    session = service.control("StartProcessing", start_ledger=100).session_id
    assert service.finished(session) is Status.ERROR
    assert "does not exist" in service.control("GetStatus", session_id=session).error_message


def test_sessions_are_walked_only_along_their_states() -> None:
    session = Session.new(sa.LedgerRange(1), batch_size=1, tables=("ledgers",))
    along = [Status.STARTING, Status.RUNNING, Status.STOPPING, Status.STOPPED]
    for at, status in enumerate(along):
        for other in set(Status) - {status, Status.ERROR}:
            with pytest.raises(sa.ConfigError, match="cannot become"):
                session.became(other)
        assert session.became(Status.ERROR, "why").message == "why"
        session = session.became(status)
        assert at == along.index(session.status)
    with pytest.raises(sa.ConfigError):
        session.became(Status.ERROR)


def test_health_and_reflection_are_there(start: Start) -> None:
    service = start()
    channel = service.control.channel
    asked = health_pb2.HealthCheckRequest(service="contractdata.v1.ControlService")
    probe: Any = health_pb2_grpc.HealthStub(channel)
    assert probe.Check(asked).status == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    listed: Any = reflection_pb2
    (answer,) = stub.ServerReflectionInfo(iter([listed.ServerReflectionRequest(list_services="")]))
    names = {one.name for one in answer.list_services_response.service}
    assert {"contractdata.v1.ControlService", "grpc.health.v1.Health"} <= names


def test_no_more_sessions_run_than_fit_into_the_memory(start: Start, endless: Endless) -> None:
    service = start(endless)
    for _ in range(8):
        service.control("StartProcessing", start_ledger=100)
    with refused(grpc.StatusCode.UNAVAILABLE, "8 sessions run"):
        service.control("StartProcessing", start_ledger=100)
