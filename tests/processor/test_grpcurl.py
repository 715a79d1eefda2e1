"""The control service as a client sees it that knows nothing of it but what reflection tells."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from fakes.process import program

from .conftest import Service, Start

SERVICE = "contractdata.v1.ControlService"


class Grpcurl:
    """grpcurl, talking to one service."""

    def __init__(self, service: Service) -> None:
        self._address = str(service.grpc.address)

    def __call__(self, *words: str) -> str:
        done = self._run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, method: str, **fields: Any) -> Any:
        return json.loads(self._run(method, **fields).stdout)

    def refused(self, method: str, **fields: Any) -> str:
        """Return what it shows of an error."""
        done = self._run(method, **fields)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def _run(self, *words: str, **fields: Any) -> subprocess.CompletedProcess[str]:
        data = ["-d", json.dumps(fields)] if fields else []
        return subprocess.run(
            [program("grpcurl"), "-plaintext", *data, self._address, *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


@pytest.fixture
def service(start: Start) -> Service:
    return start()


@pytest.fixture
def grpcurl(service: Service) -> Grpcurl:
    return Grpcurl(service)


def test_reflection_lists_and_describes_the_services(grpcurl: Grpcurl) -> None:
    listed = grpcurl("list").split()
    assert {SERVICE, "grpc.health.v1.Health"} <= set(listed)
    for name in listed:
        assert f"{name} is a service" in grpcurl("describe", name)
    methods = {line.rpartition(".")[2] for line in grpcurl("list", SERVICE).split()}
    assert methods == {"StartProcessing", "StopProcessing", "GetStatus", "ConfigureFilters", "GetMetrics"}
    assert "uint32 end_ledger = 2;" in grpcurl("describe", "contractdata.v1.StartProcessingRequest")


def test_a_session_is_started_watched_and_stopped(service: Service, grpcurl: Grpcurl) -> None:
    started = grpcurl.call(f"{SERVICE}/StartProcessing", start_ledger=100, end_ledger=139, batch_size=7)
    assert (started["success"], started["message"]) == (True, "processing 100:139")
    session = started["sessionId"]
    service.finished(session)
    status = grpcurl.call(f"{SERVICE}/GetStatus", session_id=session)
    assert (status["status"], status["currentLedger"], status["targetLedger"]) == ("STOPPED", 139, 139)
    metrics = grpcurl.call(f"{SERVICE}/GetMetrics", session_id=session)
    assert metrics["contractsProcessed"] == status["entriesProcessed"]
    assert int(metrics["bytesProcessed"]) > 0
    stopped = grpcurl.call(f"{SERVICE}/StopProcessing", session_id=session)
    assert stopped == {"success": True, "message": "the session had stopped before"}
    chosen = grpcurl.call(f"{SERVICE}/ConfigureFilters", asset_codes=["native"], include_deleted=True)
    assert chosen["success"]


@pytest.mark.parametrize(
    ("method", "fields", "code", "sentence"),
    [
        ("GetStatus", {"session_id": "x"}, "NotFound", "there is no session 'x': StartProcessing"),
        ("StartProcessing", {"start_ledger": 0}, "InvalidArgument", "start_ledger is 0: name the first"),
        (
            "StartProcessing",
            {"start_ledger": 9, "end_ledger": 3},
            "InvalidArgument",
            "end_ledger is 3, before start_ledger 9: swap them",
        ),
        ("ConfigureFilters", {"contract_ids": ["CX"]}, "InvalidArgument", "CX"),
    ],
)
def test_what_cannot_be_meant_is_a_code_and_a_sentence(
    grpcurl: Grpcurl, method: str, fields: dict[str, Any], code: str, sentence: str
) -> None:
    answer = grpcurl.refused(f"{SERVICE}/{method}", **fields)
    assert f"Code: {code}" in answer
    assert sentence in answer


@pytest.mark.parametrize("name", ["", SERVICE])
def test_health_is_asked_of_the_server_and_of_the_service(
    service: Service, grpcurl: Grpcurl, name: str
) -> None:
    assert grpcurl.call("grpc.health.v1.Health/Check", service=name) == {"status": "SERVING"}
    service.grpc.serving(False)
    assert grpcurl.call("grpc.health.v1.Health/Check", service=name) == {"status": "NOT_SERVING"}


def test_health_of_a_service_that_is_not_there_is_not_found(grpcurl: Grpcurl) -> None:
    assert "Code: NotFound" in grpcurl.refused("grpc.health.v1.Health/Check", service="nonsense")
