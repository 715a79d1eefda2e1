"""Calls over gRPC that are begun and never asked: they take nothing from others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import stellarrow as sa
from security.deployment import Deployment, Server, Shown, channel
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.servers.grpc_base import RpcServer, Unary
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.sources.files import FileSource

CONTROL = "/contractdata.v1.ControlService"
CALLS = 200
SECONDS = 60.0  # far more than it takes


def unasked(never: threading.Event) -> Iterator[bytes]:
    never.wait(SECONDS)
    yield from ()


@contextmanager
def half_open(server: Server, call: str, shown: Shown) -> Iterator[list[Any]]:
    """Begin many calls and send nothing."""
    never = threading.Event()
    metadata: Any = [(name, value) for name, value in shown.headers.items()]
    with channel(server, shown) as opened:
        method: Any = opened.stream_stream(call)
        try:
            yield [method(unasked(never), metadata=metadata) for _ in range(CALLS)]
        finally:
            never.set()


def health(server: Server) -> int:
    with channel(server, Shown()) as opened:
        # By a connection of its own.
        stub: Any = health_pb2_grpc.HealthStub(opened)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS, wait_for_ready=True)
        return int(answer.status)


def status(server: Server, shown: Shown) -> grpc.StatusCode:
    metadata: Any = [(name, value) for name, value in shown.headers.items()]
    with channel(server, shown) as opened:
        method: Any = opened.unary_unary(f"{CONTROL}/GetStatus", messages.GetStatusRequest.SerializeToString)
        try:
            method(messages.GetStatusRequest(session_id="none"), metadata=metadata, timeout=SECONDS)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def reader(with_keys: Deployment) -> Shown:
    _, text = with_keys.store.create("half-open", ["reader"], created_by="test")
    return Shown({"authorization": f"Bearer {text}"})


@pytest.mark.parametrize("service", ["source", "processor"])
@pytest.mark.parametrize("method", ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"])
def test_strangers_who_begin_probes_and_ask_nothing_hold_up_no_probe(
    with_keys: Deployment, service: str, method: str
) -> None:
    server = with_keys.server(service, "grpc")
    with half_open(server, method, Shown()):
        kinds = health_pb2.HealthCheckResponse
        assert health(server) in (kinds.SERVING, kinds.NOT_SERVING)


@pytest.mark.parametrize("method", [f"{CONTROL}/GetStatus", f"{CONTROL}/StartProcessing"])
def test_strangers_who_begin_calls_are_refused_before_they_ask(with_keys: Deployment, method: str) -> None:
    with half_open(with_keys.server("processor", "grpc"), method, Shown()) as calls:
        assert {call.code() for call in calls} == {grpc.StatusCode.UNAUTHENTICATED}


def test_a_caller_who_begins_calls_and_asks_nothing_holds_up_no_other(
    with_keys: Deployment, reader: Shown
) -> None:
    server = with_keys.server("processor", "grpc")
    with half_open(server, f"{CONTROL}/GetStatus", reader):
        assert status(server, reader) is grpc.StatusCode.NOT_FOUND


def test_a_caller_who_begins_to_ask_for_the_services_holds_up_no_other(
    with_keys: Deployment, reader: Shown
) -> None:
    server = with_keys.server("processor", "grpc")
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with half_open(server, reflection, reader):
        assert status(server, reader) is grpc.StatusCode.NOT_FOUND
        assert server.outcome(reflection, reader) == "ok"


@pytest.mark.slow
def test_a_request_that_does_not_come_is_not_waited_for_though_nobody_needs_the_thread() -> None:
    with closing(echoing()) as server, grpc.insecure_channel(str(server.address)) as opened:
        never = threading.Event()
        method: Any = opened.stream_unary(f"{CONTROL}/GetStatus")
        call = method.future(unasked(never), timeout=SECONDS)
        assert call.code() is grpc.StatusCode.CANCELLED


def echoing() -> RpcServer:
    method = Unary(lambda request: request, messages.GetStatusRequest.FromString)
    server = RpcServer(Address("127.0.0.1", 0), {CONTROL[1:]: {"GetStatus": method}})
    server.start()
    return server


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([], grpc.StatusCode.UNIMPLEMENTED),
        ([b"\x0a\xff\xff"], grpc.StatusCode.INVALID_ARGUMENT),
        ([b""], grpc.StatusCode.OK),
    ],
    ids=["none", "no message", "one"],
)
def test_a_call_without_exactly_one_good_request_is_told_so(
    requests: list[bytes], code: grpc.StatusCode
) -> None:
    with closing(echoing()) as server, grpc.insecure_channel(str(server.address)) as opened:
        method: Any = opened.stream_unary(f"{CONTROL}/GetStatus")
        call = method.future(iter(requests), timeout=SECONDS)
        assert call.code() is code


def test_strangers_who_watch_services_that_are_not_there_leave_nothing_behind() -> None:
    with closing(echoing()) as server, grpc.insecure_channel(str(server.address)) as opened:
        stub: Any = health_pb2_grpc.HealthStub(opened)
        watch = stub.Watch
        for number in range(50):
            call = watch(health_pb2.HealthCheckRequest(service=f"{number}" * 1_000), timeout=SECONDS)
            assert next(call).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            call.cancel()
        known = watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(known).status == health_pb2.HealthCheckResponse.SERVING
        server.serving(False)
        assert next(known).status == health_pb2.HealthCheckResponse.NOT_SERVING
        known.cancel()
        held: Any = server._health
        assert held._send_response_callbacks.keys() <= {"", CONTROL[1:]}


@pytest.mark.parametrize("verb", ["DoPut", "DoExchange"])
def test_strangers_who_begin_to_write_over_flight_are_refused_before_they_send_anything(
    with_keys: Deployment, verb: str
) -> None:
    server = with_keys.server("processor", "flight")
    with half_open(server, f"/arrow.flight.protocol.FlightService/{verb}", Shown()) as calls:
        assert {call.code() for call in calls} == {grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize("verb", ["DoPut", "DoExchange"])
def test_an_open_flight_server_refuses_to_be_written_to_before_anything_is_sent(
    tmp_path: Path, verb: str
) -> None:
    options = Options(state_dir=tmp_path, network=sa.Network.of("synthetic"))
    with (
        closing(Processor(lambda: FileSource(tmp_path), options)) as processor,
        closing(FlightServer(Address("127.0.0.1", 0), processor)) as flight,
        half_open(
            Server("processor", "flight", flight.address, ()),
            f"/arrow.flight.protocol.FlightService/{verb}",
            Shown(),
        ) as calls,
    ):
        assert {call.code() for call in calls} == {grpc.StatusCode.UNIMPLEMENTED}
