from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import stellarrow as sa
from fakes.doorman import Doorman
from stellarrow.net.address import Address
from stellarrow.security.access import Access, guarded
from stellarrow.security.tls import Tls
from stellarrow.servers.http import HealthServer
from stellarrow.servers.http_limits import BriefFaults
from stellarrow.telemetry.health import Check

ANYWHERE = Address.parse(":0")
Start = Callable[..., HealthServer]


class Part:
    """A component that is as it is told to be."""

    def __init__(self, name: str, *, healthy: bool = True, essential: bool = True) -> None:
        self._check = Check(name, healthy, "as told", {"ledger": 7}, essential)

    def check(self) -> Check:
        return self._check


def get(server: HealthServer, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
    with urllib3.PoolManager(retries=False) as pool:
        answer = pool.request("GET", f"http://{server.address}{path}", headers=headers)
        return answer.status, answer.data


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def started(*components: Part, **choices: Any) -> HealthServer:
            choices.setdefault("ready", threading.Event())
            server = stack.enter_context(closing(HealthServer(ANYWHERE, components, **choices)))
            server.start()
            return server

        yield started


def test_health_tells_status_version_uptime_and_every_component(start: Start) -> None:
    status, body = get(start(Part("source")), "/health")
    answer = json.loads(body)
    assert (status, answer["status"], answer["version"]) == (200, "healthy", sa.__version__)
    assert answer["uptime"] >= 0
    part = answer["components"]["source"]
    assert part.pop("last_check").endswith("+00:00")
    assert part == {"name": "source", "healthy": True, "message": "as told", "metrics": {"ledger": 7}}


@pytest.mark.parametrize(
    ("essential", "code", "status"), [(True, 503, "unhealthy"), (False, 200, "degraded")]
)
def test_a_sick_component_shows_in_the_status(start: Start, essential: bool, code: int, status: str) -> None:
    server = start(Part("a"), Part("b", healthy=False, essential=essential))
    answered, body = get(server, "/health")
    assert (answered, json.loads(body)["status"]) == (code, status)


@pytest.mark.parametrize("path", ["/ready", "/health/ready"])
def test_it_is_ready_only_while_it_can_do_its_work(start: Start, path: str) -> None:
    ready = threading.Event()
    server = start(ready=ready)
    assert get(server, path)[0] == 503
    ready.set()
    assert get(server, path)[0] == 200
    ready.clear()
    assert get(server, path)[0] == 503
    assert get(server, "/health/live")[0] == 200


def test_metrics_and_further_routes_are_served(start: Start) -> None:
    def stats(_: Request) -> PlainTextResponse:
        return PlainTextResponse("rows")

    server = start(metrics=lambda: b"current_ledger 7\n", routes=[Route("/stats", stats)])
    status, text = get(server, "/metrics")
    assert (status, text.splitlines()[0]) == (200, b"current_ledger 7")
    assert b"\nprocess_resident_memory_bytes " in text
    assert get(server, "/stats") == (200, b"rows")


def test_only_probes_go_in_without_proof_and_health_says_its_status_alone(start: Start) -> None:
    server = start(Part("source"), access=Access([Doorman()]))
    assert get(server, "/health") == (200, b'{"status":"healthy"}')
    assert get(server, "/health", {"Authorization": "Bearer wrong"})[0] == 401
    assert b"components" in get(server, "/health", {"Authorization": "Bearer right"})[1]
    assert get(server, "/metrics", {"Authorization": "Bearer wrong"})[0] == 401
    assert get(server, "/metrics", {"Authorization": "Bearer right"})[0] == 200
    assert get(server, "/health/live")[0] == 200
    assert get(server, "/ready")[0] == 503


def test_it_speaks_tls_and_asks_for_the_callers_certificate(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    identity = authority.issue_cert("127.0.0.1")
    identity.private_key_pem.write_to_path(tmp_path / "key")
    identity.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    server = start(tls=Tls(tmp_path / "certificate", tmp_path / "key", tmp_path / "ca"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    url = f"https://{server.address}/health/live"
    with (
        urllib3.PoolManager(ssl_context=context, retries=False) as pool,
        pytest.raises((urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError)),
    ):
        pool.request("GET", url)
    identity.configure_cert(context)
    with urllib3.PoolManager(ssl_context=context, retries=False) as pool:
        assert pool.request("GET", url).status == 200


def test_a_taken_port_is_said_before_anything_starts(start: Start) -> None:
    taken = start().address
    with pytest.raises(sa.ConfigError, match=f"cannot listen on {taken} .*: choose another address"):
        HealthServer(taken, ready=threading.Event())


def test_it_stops_and_frees_its_port(start: Start) -> None:
    server = start()
    address = server.address
    server.close()
    server.close()
    with closing(HealthServer(address, ready=threading.Event())) as again:
        again.start()
        assert get(again, "/health/live")[0] == 200


def test_it_will_not_be_open_to_others_unless_told() -> None:
    outside = Address.parse("0.0.0.0:0")
    with pytest.raises(sa.ConfigError, match=r"can be reached from outside.*--insecure"):
        HealthServer(outside, ready=threading.Event())
    assert guarded(outside, tls=None, access=None, insecure=True) == outside
    mutual = Tls(Path("certificate"), Path("key"), Path("ca"))
    assert guarded(outside, tls=mutual, access=None, insecure=False) == outside


@pytest.mark.parametrize("head", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n", b"GE"])
def test_a_request_that_does_not_arrive_in_time_is_let_go_of(
    start: Start, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr("stellarrow.servers.http_limits.REQUEST_SECONDS", 0.2)
    server = start()
    with socket.create_connection((server.address.host, server.address.port), timeout=5) as client:
        client.sendall(head)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    assert get(server, "/health/live")[0] == 200


def test_more_connections_than_the_limit_cost_the_one_that_was_quiet_for_longest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.servers.http.CONNECTIONS", 3)
    server = start()
    place = (server.address.host, server.address.port)
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(place, timeout=30)) for _ in range(3)]
        assert get(server, "/health/live")[0] == 200
        with suppress(ConnectionResetError):
            assert held[0].recv(1) == b""
        for other in held[1:]:
            other.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.recv(1)


def test_faults_of_the_event_loop_are_a_line_not_a_flood(caplog: pytest.LogCaptureFixture) -> None:
    tell = BriefFaults()
    for _ in range(1_000):
        context = {"message": "socket.accept() out of system resource", "exception": OSError(24, "many")}
        tell(None, context)  # type: ignore[arg-type]
    assert len(caplog.messages) == 1
