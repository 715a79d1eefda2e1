"""Connections to HTTP: one address that takes all there are keeps nobody else out."""

from __future__ import annotations

import http.client
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from security.certificates import Authority
from security.deployment import deployed
from stellarrow.net.address import Address
from stellarrow.servers.http import HealthServer
from stellarrow.servers.http_limits import CONNECTIONS

PROBE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
SECONDS = 60.0


@pytest.fixture
def answering() -> threading.Event:
    return threading.Event()


@pytest.fixture
def server(answering: threading.Event) -> Iterator[HealthServer]:
    def wait(_: Request) -> Response:
        answering.wait(SECONDS)
        return Response("waited", media_type="text/plain")

    made = HealthServer(Address("127.0.0.1", 0), ready=threading.Event(), routes=[Route("/stats", wait)])
    with closing(made):
        made.start()
        yield made
        answering.set()


@pytest.fixture(autouse=True)
def files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4 * CONNECTIONS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CONNECTIONS), hard))


def probed(server: HealthServer, *, source: str) -> int:
    """Ask once from an address of this machine."""
    address = server.address
    connection = http.client.HTTPConnection(
        address.host, address.port, timeout=SECONDS, source_address=(source, 0)
    )
    with closing(connection):
        connection.request("GET", "/health/live")
        return connection.getresponse().status


def taken(server: HealthServer, stack: ExitStack, *, count: int, source: str) -> list[socket.socket]:
    """Open so many connections, each of which asks and stays."""
    address = server.address
    held = []
    for _ in range(count):
        client = socket.create_connection(
            (address.host, address.port), timeout=SECONDS, source_address=(source, 0)
        )
        held.append(stack.enter_context(client))
        client.sendall(PROBE)
        assert b"alive" in http_answer(client)
    return held


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.0/8 is this machine on Linux")


def test_whoever_takes_all_connections_keeps_no_other_address_out_and_loses_the_oldest(
    server: HealthServer,
) -> None:
    with ExitStack() as stack:
        (mine,) = taken(server, stack, count=1, source="127.0.0.3")
        held = taken(server, stack, count=CONNECTIONS - 1, source="127.0.0.2")
        assert probed(server, source="127.0.0.4") == 200
        mine.sendall(PROBE)
        assert b"alive" in http_answer(mine)
        assert held[0].recv(1) == b""


def test_a_connection_that_is_being_answered_is_not_closed_for_another(
    server: HealthServer, answering: threading.Event
) -> None:
    address = server.address
    with ExitStack() as stack:
        asking = socket.create_connection((address.host, address.port), timeout=SECONDS)
        stack.enter_context(asking)
        asking.sendall(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n")
        taken(server, stack, count=CONNECTIONS, source="127.0.0.1")
        assert probed(server, source="127.0.0.1") == 200
        answering.set()
        assert b"waited" in http_answer(asking)


def http_answer(connection: socket.socket) -> bytes:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.read()


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_who_begins_no_handshake_of_tls_is_let_go_of(lake: Path, tmp_path: Path, protocol: str) -> None:
    flags = {"auth": "api_key", **Authority(tmp_path / "authority").server_flags}
    with deployed(lake, tmp_path / "state", flags) as made, ExitStack() as stack:
        address = made.server("source", protocol).address
        held = [
            stack.enter_context(socket.create_connection((address.host, address.port), timeout=SECONDS))
            for _ in range(20)
        ]
        for client in held:
            while client.recv(4_096):  # gRPC's settings may come first
                pass


def test_a_service_may_open_as_many_files_as_the_system_allows() -> None:
    code = (
        "import resource as r; from stellarrow.security.open_files import allow_many_files\n"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (256, min(hard, 2_000)))\n"
        "allow_many_files(); print(*r.getrlimit(r.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    soft, hard = map(int, done.stdout.split())
    assert soft == hard
    assert soft > 256
