from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("stellarrow.proto.raw_ledger_service_pb2", reason="make builds it")

import urllib3
from pyarrow import flight

import stellarrow as sa
from fakes.rpc import RpcNode, serving
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.sources.grpc import GrpcSource

MakeLake = Callable[..., Path]


class Service:
    """`stellarrow source serve` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr
        lines = []
        for line in process.stderr:  # others may come first
            lines.append(json.loads(line)["message"])
            if answer := re.search(r"gRPC (\S+), Flight (\S+), HTTP (\S+)", lines[-1]):
                break
        assert answer, lines
        self.grpc, self.flight, self.http = answer.groups()

    def get(self, path: str) -> tuple[int, Any]:
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request("GET", f"http://{self.http}{path}", timeout=5)
            return answer.status, answer.data

    def await_ready(self) -> None:
        deadline = time.monotonic() + 60
        while self.get("/ready")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@contextmanager
def served(tmp_path: Path, *arguments: object, environ: dict[str, str] | None = None) -> Iterator[Service]:
    places = {
        "GRPC_ADDRESS": ":0",
        "FLIGHT_ADDRESS": ":0",
        "HEALTH_PORT": "0",
        "STATE_DIR": str(tmp_path / "state"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "stellarrow.cli", "source", "serve", *map(str, arguments)],
        env={**os.environ, **places, **(environ or {})},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Service(process)
        finally:
            process.kill()


def test_it_serves_a_lake_and_stops_at_sigterm(make_lake: MakeLake, tmp_path: Path) -> None:
    with (
        served(tmp_path, "--source", make_lake(), "--network", "synthetic") as service,
        closing(GrpcSource(f"grpc://{service.grpc}")) as source,
    ):
        service.await_ready()
        assert [chunk.first for chunk in source.read(sa.LedgerRange(105, 139))] == list(range(105, 140))
        status, body = service.get("/health")
        answer = json.loads(body)
        assert (status, answer["status"]) == (200, "healthy")
        assert set(answer["components"]) == {"source", "quarantine"}
        metrics = service.get("/metrics")[1]
        assert b'current_ledger{source_type="file"} 139.0' in metrics
        # The newest, by itself, and what was asked for up to there.
        assert b"ledgers_received_total 35.0" in metrics
        assert b'ledgers_processed_total{source_type="file",status="success"} 35.0' in metrics
        assert b'operation="check"' in metrics
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
        assert time.monotonic() - began < 5


def test_it_drains_while_clients_read(make_lake: MakeLake, tmp_path: Path) -> None:
    with (
        served(tmp_path, environ={"SOURCE": str(make_lake())}) as service,
        closing(GrpcSource(f"grpc://{service.grpc}")) as source,
    ):
        service.await_ready()
        slow = source.read(sa.LedgerRange(100))
        seen = [next(slow).first for _ in range(40)]
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
        assert seen == list(range(100, 140))


def test_a_control_plane_that_is_away_hinders_nothing(make_lake: MakeLake, tmp_path: Path) -> None:
    environ = {"FLOWCTL_ENABLED": "true", "FLOWCTL_ENDPOINT": "127.0.0.1:1"}
    with served(tmp_path, "--source", make_lake(), environ=environ) as service:
        service.await_ready()
        status, body = service.get("/health")
        answer = json.loads(body)
        assert (status, answer["status"]) == (200, "degraded")
        assert not answer["components"]["flowctl"]["healthy"]


@pytest.mark.slow
def test_a_client_that_takes_nothing_does_not_hold_the_end_up(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_lake(
        lake,
        islice(synthetic(200, first=100, ledger_bytes=1_300_000), 60),
        first=100,
        network=sa.Network.of("synthetic"),
    )
    with (
        served(tmp_path, "--source", lake) as service,
        closing(GrpcSource(f"grpc://{service.grpc}")) as source,
        flight.connect(f"grpc://{service.flight}") as client,
    ):
        service.await_ready()
        stalled = source.read(sa.LedgerRange(100))
        assert next(stalled).first == 100
        reader = client.do_get(flight.Ticket(b'{"start_ledger": 100}'))
        reader.read_chunk()
        time.sleep(1)  # until no buffer on the way takes any more
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0
        reader.cancel()


def test_it_serves_several_nodes_as_one(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    with (
        serving(RpcNode(ledgers[:20])) as behind,
        serving(RpcNode(ledgers)) as node,
        served(tmp_path, "--rpc", f"{behind.url},{node.url}") as service,
        closing(GrpcSource(f"grpc://{service.grpc}")) as source,
    ):
        assert [chunk.first for chunk in source.read(sa.LedgerRange(105, 139))] == list(range(105, 140))
        guards = set(json.loads(service.get("/health")[1])["components"]) - {"source", "quarantine"}
        assert guards == {behind.url, node.url}


Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no source is named"),
        (("--source", "LAKE", "--network", "pubnet"), "are of synthetic, not pubnet"),
        (("--source", "LAKE", "--grpc-address", "0.0.0.0:0"), "can be reached from outside"),
        (("--source", "LAKE", "--tls-key", "k"), "TLS needs both a certificate and its key"),
        (("--source", "LAKE", "--grpc-address", "nowhere"), "--grpc-address is 'nowhere'"),
    ],
)
def test_what_cannot_be_served_is_said(
    stellarrow: Run, make_lake: MakeLake, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    lake = str(make_lake())
    given = [lake if argument == "LAKE" else argument for argument in arguments]
    free = ("--flight-address", ":0", "--health-port", "0", "--state-dir", tmp_path)
    done = stellarrow(
        "source", "serve", *given, *free, *(() if "--grpc-address" in given else ("--grpc-address", ":0"))
    )
    assert done.code in (1, 2)
    assert told in done.err
