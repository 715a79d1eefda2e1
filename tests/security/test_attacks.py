"""What strangers and those with too few rights try: forged tickets, names that are paths, SQL, floods."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ArrowException, flight

import stellarrow as sa
from fakes.process import program
from security.certificates import Authority
from security.deployment import Deployment, Shown, deployed, flight_client, flight_options
from security.test_matrix import with_sum
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.security.api_keys import make_text
from stellarrow.security.key_authenticator import KeyAuthenticator
from stellarrow.security.principal import Call
from stellarrow.servers.raw.flight import Command as RawCommand

NAMES = (
    "../../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "a/b",
    "a\\b",
    "a\0b",
    "x" * 255,
    "x" * 5_000,
    "%2e%2e%2f",
    "~root",
    "$(id)",
    "a\r\nSet-Cookie: x",
    "sessions.sqlite3",
)


@pytest.fixture(scope="module")
def reader(with_keys: Deployment) -> Shown:
    _, text = with_keys.store.create("attacker", ["processor"], created_by="test")
    return Shown({"authorization": f"Bearer {text}"})


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def control(
    deployment: Deployment, shown: Shown, method: str, request: Any, answer: Any
) -> grpc.StatusCode | None:
    """Make a call of the control service; return its status, None where it did what was asked."""
    metadata: Any = [(name.lower(), value) for name, value in shown.headers.items()]
    with grpc.insecure_channel(str(deployment.server("processor", "grpc").address)) as channel:
        call = channel.unary_unary(
            f"/contractdata.v1.ControlService/{method}", type(request).SerializeToString, answer.FromString
        )
        try:
            call(request, metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return None


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_session_that_is_a_path_leads_nowhere(
    with_keys: Deployment, reader: Shown, name: str
) -> None:
    before = listed(with_keys.state_dir.parent)
    for method, request, answer in (
        ("GetStatus", messages.GetStatusRequest(session_id=name), messages.GetStatusResponse),
        ("StopProcessing", messages.StopProcessingRequest(session_id=name), messages.StopProcessingResponse),
        ("GetMetrics", messages.GetMetricsRequest(session_id=name), messages.GetMetricsResponse),
    ):
        assert control(with_keys, reader, method, request, answer) is grpc.StatusCode.NOT_FOUND
    assert listed(with_keys.state_dir.parent) == before


@pytest.mark.parametrize("service", ["source", "processor"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_table_that_is_a_path_is_no_table(
    with_keys: Deployment, reader: Shown, service: str, name: str
) -> None:
    client = flight_client(with_keys.server(service, "flight"), reader)
    options = flight_options(reader)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: client.get_flight_info(flight.FlightDescriptor.for_path(name), options),
        lambda: client.do_get(flight.Ticket(json.dumps({"table": name}).encode()), options).read_all(),
        lambda: client.do_get(
            flight.Ticket(json.dumps({"table": "ledgers", "version": name}).encode()), options
        ).read_all(),
    )
    for asked in attempts:
        with pytest.raises((ArrowException, flight.FlightError, NotImplementedError)) as caught:
            asked()
        assert "unexpected error" not in str(caught.value)
    client.close()


TICKETS = (
    b"",
    b"\x00" * 100,
    b"[" * 50_000,
    b'{"table": ' * 1_000,
    b'{"table": "ledgers", "from": "' + b"A" * 10_000 + b'"}',
    b'{"table": "ledgers", "from": "../../etc/passwd"}',
    b'{"table": "ledgers", "from": -1}',
    b'{"table": "ledgers", "start_ledger": 1e308}',
    b'{"table": "ledgers", "start_ledger": 99999999999999999999}',
    b'{"table": "ledgers", "__class__": "os.system"}',
    b'{"table": "ledgers", "columns": [["a"]]}',
    b'{"table": "contract_data", "contract_ids": ["\' or 1=1 --"], "start_ledger": 100}',
    b"\xff\xfe{",
)


@pytest.mark.parametrize("ticket", TICKETS, ids=lambda ticket: repr(ticket[:40]))
@pytest.mark.parametrize("service", ["source", "processor"])
def test_a_forged_ticket_is_refused_in_a_sentence(
    with_keys: Deployment, reader: Shown, service: str, ticket: bytes
) -> None:
    client = flight_client(with_keys.server(service, "flight"), reader)
    began = time.monotonic()
    with pytest.raises((ArrowException, flight.FlightError, NotImplementedError)) as caught:
        client.do_get(flight.Ticket(ticket), flight_options(reader)).read_all()
    assert time.monotonic() - began < 5
    assert "Traceback" not in str(caught.value)
    assert "unexpected error" not in str(caught.value)
    client.close()


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_of_a_ticket_raise_anything_but_what_is_told(ticket: bytes) -> None:
    with suppress(sa.ConfigError):
        RawCommand.parse(ticket)


def test_a_resume_token_is_no_credential(with_keys: Deployment, reader: Shown) -> None:
    server = with_keys.server("processor", "flight")
    client = flight_client(server, reader)
    ticket = b'{"table": "ledgers", "start_ledger": 100, "end_ledger": 110, "follow": false}'
    chunk = client.do_get(flight.Ticket(ticket), flight_options(reader)).read_chunk()
    resume = json.loads(chunk.app_metadata.to_pybytes())["resume"]
    again = json.dumps({**json.loads(ticket), "from": resume}).encode()
    _, foreign = make_text()
    for shown in (Shown(), Shown({"authorization": f"Bearer {foreign}"})):
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.do_get(flight.Ticket(again), flight_options(shown)).read_all()
    client.close()


SQL = (
    "1=1; DROP TABLE ledgers",
    "ledger_sequence IN (SELECT 1)",
    "EXISTS (SELECT * FROM read_csv('/etc/passwd'))",
    "read_text('/etc/passwd') IS NOT NULL",
    "pg_read_file('/etc/passwd') = ''",
    "pg_sleep(10) IS NULL",
    "current_setting('data_directory') = ''",
    "ledger_sequence = 1 UNION SELECT 1",
    "/* x */ COPY ledgers TO '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "getenv('HOME') = ''",
    "(" * 500 + "1" + ")" * 500 + " = 1",
    "ledger_sequence = " + "1 + " * 3_000 + "1",
)


@pytest.mark.parametrize("where", SQL, ids=lambda text: text[:40])
def test_sql_that_does_more_than_compare_columns_is_refused(
    with_keys: Deployment, ledgers: tuple[bytes, ...], where: str
) -> None:
    began = time.monotonic()
    with pytest.raises(sa.ConfigError) as refused:
        sa.decode(ledgers[0], ["ledgers"], network="synthetic", where=where)
    assert time.monotonic() - began < 5
    assert len(str(refused.value)) < 1_000
    _, text = with_keys.store.create(f"sql-{os.urandom(4).hex()}", ["reader"], created_by="test")
    shown = Shown({"authorization": f"Bearer {text}"})
    client = flight_client(with_keys.server("processor", "flight"), shown)
    command = {"table": "ledgers", "start_ledger": 100, "end_ledger": 101, "where": where}
    with pytest.raises(ArrowException):
        client.do_get(flight.Ticket(json.dumps(command).encode()), flight_options(shown)).read_all()
    client.close()


# Guessing and flooding


def test_an_unknown_id_takes_as_long_as_a_wrong_secret(with_keys: Deployment) -> None:
    _, right = with_keys.store.create("timed", ["reader"], created_by="test")
    _, unknown = make_text()
    near = with_sum(right[:-7] + ("a" if right[-7] != "a" else "b"))
    far = with_sum(right[:14] + unknown[14:-6])
    authenticator = KeyAuthenticator(with_keys.store)
    taken: dict[str, list[float]] = {unknown: [], near: [], far: []}

    def once(text: str) -> float:
        began = time.thread_time()
        for _ in range(20):
            with pytest.raises(sa.Unauthenticated):
                authenticator(Call("GET /sessions", {"x-api-key": text}))
        return time.thread_time() - began

    def ratio() -> float:
        for _ in range(100):
            for text, times in taken.items():
                times.append(once(text))
        fastest = [min(taken[text]) for text in (near, far)]
        return max(fastest) / min(fastest)

    # How much of a secret is right does not show; a busy machine shows it only after more tries.
    assert any(ratio() < 1.25 for _ in range(10))


def test_a_body_of_100_mb_is_not_read(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("big", ["admin"], created_by="test")
    address = with_keys.server("processor", "http").address
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for credential in (text, "guess"):
        with socket.create_connection((address.host, address.port), timeout=10) as client:
            head = (
                f"POST /v1/admin/api-keys HTTP/1.1\r\nHost: x\r\nX-API-Key: {credential}\r\n"
                f"Content-Length: {100 << 20}\r\n\r\n"
            )
            client.sendall(head.encode())
            sent = 0
            with suppress(ConnectionError, TimeoutError):
                while sent < 100 << 20:
                    sent += client.send(b"x" * (1 << 16))
            assert sent < 20 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KB


def test_a_message_of_100_mb_is_refused_by_grpc(with_keys: Deployment, reader: Shown) -> None:
    request = messages.GetStatusRequest(session_id="x" * (100 << 20))
    code = control(with_keys, reader, "GetStatus", request, messages.GetStatusResponse)
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.slow
def test_500_connections_that_say_nothing_are_let_go_of_and_hold_nobody_up_for_long(
    with_keys: Deployment,
) -> None:
    address = with_keys.server("processor", "http").address
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2_000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    with ExitStack() as stack:
        for _ in range(500):
            client = stack.enter_context(socket.create_connection((address.host, address.port), timeout=5))
            client.setblocking(False)
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = urllib3.request("GET", f"http://{address}/health/live", retries=False, timeout=2)
                assert answer.status == 200
                break
            except urllib3.exceptions.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.2)


def test_strangers_who_fail_leave_no_thread_and_no_open_file(with_keys: Deployment) -> None:
    http = with_keys.server("processor", "http")
    shown = Shown({"x-api-key": "guess"})
    for _ in range(20):
        http.outcome("GET /sessions", shown)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        http.outcome("GET /sessions", shown)
    assert len(os.listdir("/proc/self/fd")) - before < 20


# Tools of others


def test_grpcurl_lists_and_calls_with_a_key_and_not_without(with_keys: Deployment, reader: Shown) -> None:
    grpcurl = program("grpcurl")
    address = str(with_keys.server("processor", "grpc").address)
    call = ["contractdata.v1.ControlService/GetStatus"]
    header = ["-H", f"authorization: {reader.headers['authorization']}"]
    refused = subprocess.run(
        [grpcurl, "-plaintext", address, "list"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (refused.returncode != 0, "authentication required" in refused.stderr) == (True, True)
    done = subprocess.run(
        [grpcurl, "-plaintext", *header, address, "list"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "contractdata.v1.ControlService" in done.stdout
    asked = subprocess.run(
        [grpcurl, "-plaintext", *header, "-d", '{"session_id": "x"}', address, *call],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "NotFound" in asked.stderr


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["http", "grpc", "flight"])
def test_a_scanner_finds_no_weakness_of_tls(lake: Path, tmp_path: Path, protocol: str) -> None:
    sslyze = program("sslyze", remedy="pip install sslyze into an environment of its own")
    authority = Authority(tmp_path / "authority")
    with deployed(lake, tmp_path / "state", {"auth": "api_key", **authority.server_flags}) as deployment:
        address = deployment.server("processor", protocol).address
        told = tmp_path / "told.json"
        subprocess.run(
            [sslyze, "--mozilla_config=intermediate", f"--json_out={told}", f"127.0.0.1:{address.port}"],
            capture_output=True,
            timeout=180,
            check=False,
        )
        (scan,) = json.loads(told.read_text())["server_scan_results"]
    result = scan["scan_result"]
    for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert result[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"] == []
    accepted = {
        one["cipher_suite"]["name"]
        for version in ("tls_1_2", "tls_1_3")
        for one in result[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"]
    }
    assert accepted
    assert [name for name in accepted if "CBC" in name or name.startswith("TLS_RSA")] == []
    assert result["heartbleed"]["result"]["is_vulnerable_to_heartbleed"] is False
    assert result["robot"]["result"]["robot_result"].startswith("NOT_VULNERABLE")
    assert result["tls_compression"]["result"]["supports_compression"] is False
    assert result["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert result["openssl_ccs_injection"]["result"]["is_vulnerable_to_ccs_injection"] is False
