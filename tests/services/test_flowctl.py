"""The flowctl client, against a control plane over the wire."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from fakes.control_plane import ControlPlane
from fakes.process import free_port
from stellarrow.net.address import Address
from stellarrow.proto import flowctl_pb2 as messages
from stellarrow.services.flowctl import Registration, Service

TOLD = Service(
    id="processor-1",
    kind="PROCESSOR",
    takes=("raw_ledger_service.RawLedger",),
    gives=("contract_data.ArrowBatch",),
    health="http://127.0.0.1:8089/health",
    component_id="contract-data",
    metadata={"flight_endpoint": "127.0.0.1:8816"},
)


@pytest.fixture
def register() -> Iterator[Callable[[int], Registration]]:
    with ExitStack() as stack:

        def begin(port: int) -> Registration:
            made = Registration(
                Address("127.0.0.1", port), TOLD, interval=0.05, measure=lambda: {"current_ledger": 7.0}
            )
            stack.enter_context(closing(made))
            made.start()
            return made

        yield begin


def until(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_registers_and_sends_heartbeats_under_the_name_it_was_given(
    register: Callable[[int], Registration],
) -> None:
    port = free_port()
    with closing(ControlPlane(port)) as plane:
        registration = register(port)
        until(lambda: len(plane.beats) >= 2)
        (info,) = plane.registered
        assert info.service_type == messages.SERVICE_TYPE_PROCESSOR
        assert (info.service_id, info.component_id) == ("processor-1", "contract-data")
        assert list(info.output_event_types) == ["contract_data.ArrowBatch"]
        assert dict(info.metadata) == {"flight_endpoint": "127.0.0.1:8816"}
        beat = plane.beats[0]
        assert (beat.service_id, dict(beat.metrics)) == ("known-processor-1", {"current_ledger": 7.0})
        assert abs(beat.timestamp.ToSeconds() - time.time()) < 60
        assert registration.trouble == ""


@pytest.mark.parametrize("knows_all", [False, True])
def test_it_registers_again_when_the_control_plane_has_restarted(
    register: Callable[[int], Registration], *, knows_all: bool
) -> None:
    port = free_port()
    with closing(ControlPlane(port)) as plane:
        registration = register(port)
        until(lambda: plane.beats)
    until(lambda: registration.trouble)
    with closing(ControlPlane(port, knows_all=knows_all)) as plane:
        until(lambda: plane.registered and plane.beats)
        assert registration.trouble == ""


def test_a_control_plane_that_is_down_or_hangs_hinders_nothing(
    register: Callable[[int], Registration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.services.flowctl._TIMEOUT", 0.2)
    port = free_port()
    began = time.monotonic()
    registration = register(port)
    assert time.monotonic() - began < 0.5
    until(lambda: "does not answer" in registration.trouble)
    with closing(ControlPlane(port, hangs=True)):
        until(lambda: "Deadline" in registration.trouble)
    with closing(ControlPlane(port)) as plane:
        until(lambda: plane.beats)
