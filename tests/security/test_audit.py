"""The log of who did what: what is in it, that it is whole, and that its chain shows every change."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
import urllib3

import stellarrow as sa
from security.deployment import Deployment
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.security.access import Access
from stellarrow.security.audit_log import AuditLog, Event, verify
from stellarrow.security.logins import Logins
from stellarrow.security.principal import Call, Principal

Run = Callable[..., Any]


def event(name: str = "key created", **given: str) -> Event:
    told = {"principal": "me", "method": "test", "address": "::1", "result": "ok", "request_id": "1", **given}
    return Event(event=name, **told)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "audit.jsonl"
    with closing(AuditLog(path)) as made:
        for number in range(5):
            made.record(event(target=str(number)))
    return path


def test_a_log_that_goes_on_after_a_restart_is_one_chain(log: Path) -> None:
    with closing(AuditLog(log)) as again:
        again.record(event())
    assert verify(log).lines == 6
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "harm",
    [
        lambda lines: [lines[0].replace('"me"', '"you"'), *lines[1:]],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines[:3], lines[2], *lines[3:]],
        lambda lines: [*lines[:3], "{}", *lines[3:]],
        lambda lines: [*lines[:3], "", *lines[3:]],
    ],
    ids=["changed", "removed", "first removed", "swapped", "doubled", "added", "empty"],
)
def test_every_change_of_a_line_is_seen_and_named(log: Path, harm: Any, stellarrow: Run) -> None:
    lines = log.read_text().splitlines()
    log.write_text("\n".join(harm(lines)) + "\n")
    with pytest.raises(sa.Damaged, match=r"line [1-5] "):
        verify(log)
    assert stellarrow("audit", "verify", log).code == 1


def test_an_end_that_was_cut_off_is_seen_by_the_digest_kept_elsewhere(log: Path, stellarrow: Run) -> None:
    head = json.loads(stellarrow("audit", "verify", log, "--json").out)["head"]
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    assert stellarrow("audit", "verify", log).code == 0
    done = stellarrow("audit", "verify", log, "--head", head)
    assert (done.code, "its end was cut off" in done.err) == (1, True)


def write(log: AuditLog) -> None:
    for _ in range(50):
        log.record(event())


def test_services_that_share_a_log_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    code = (
        "import sys; from stellarrow.security.audit_log import AuditLog, Event\n"
        "log = AuditLog(sys.argv[1])\n"
        "for at in range(100):\n"
        "    log.record(Event(event='e', principal='', method='', address='', result='', request_id='x'))\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    with closing(AuditLog(path)) as log:
        threads = [threading.Thread(target=write, args=(log,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [one.wait(30) for one in others] == [0, 0, 0]
    assert verify(path).lines == 500


def test_what_a_caller_writes_is_escaped_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(AuditLog(path)) as log:
        log.record(event(target='x"}\n{"event": "forged"\x1b[31m\u2028' + "y" * 10_000))
    (line,) = path.read_bytes().splitlines()
    assert (json.loads(line)["event"], len(line) < 3_000, b"\x1b" in line) == ("key created", True, False)
    assert verify(path).lines == 1


def test_a_log_that_cannot_be_written_hinders_no_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(AuditLog("/dev/full")) as full:
        full.record(event())
    full.record(event())
    assert caplog.text.count("cannot be written") == 2
    AuditLog(tmp_path / "audit.jsonl").close()
    with pytest.raises(sa.ConfigError, match="cannot be written"):
        AuditLog(tmp_path / "audit.jsonl" / "below")


def test_who_did_what_is_in_the_log_of_a_service(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("audited", ["processor"], created_by="test")
    path = with_keys.state_dir / "audit.jsonl"
    before = len(path.read_text().splitlines()) if path.exists() else 0
    address = with_keys.server("processor", "grpc").address
    with grpc.insecure_channel(str(address)) as channel:
        method = channel.unary_unary(
            "/contractdata.v1.ControlService/StartProcessing",
            messages.StartProcessingRequest.SerializeToString,
            messages.StartProcessingResponse.FromString,
        )
        request = messages.StartProcessingRequest(start_ledger=100, end_ledger=101)
        metadata: Any = [("authorization", f"Bearer {text}"), ("x-request-id", "req-1")]
        session = method(request, metadata=metadata, timeout=10).session_id
        with pytest.raises(grpc.RpcError):
            method(messages.StartProcessingRequest(), metadata=metadata, timeout=10)
    http = with_keys.server("processor", "http").address
    urllib3.request("GET", f"http://{http}/v1/admin/api-keys", headers={"X-API-Key": text})
    urllib3.request("GET", f"http://{http}/sessions", headers={"X-API-Key": "guess", "X-Request-ID": "req-2"})
    told = [json.loads(line) for line in path.read_text().splitlines()][before:]
    lines = [(one["event"], one["principal"], one["request_id"]) for one in told]
    assert lines[0] == ("authenticated", "audited", "req-1")
    assert (told[0]["address"], told[0]["result"]) == ("127.0.0.1", "ok: api_key")
    assert lines[1] == ("session started", "audited", "req-1")
    assert (told[1]["target"], told[1]["address"], told[1]["result"]) == (session, "127.0.0.1", "ok")
    assert told[2]["result"].startswith("ConfigError: start_ledger is 0")
    assert lines[3][:2] == ("permission denied", "audited")
    assert lines[4] == ("authentication failed", "", "req-2")
    assert verify(path).lines == before + 5


class Kept:
    """Keeps events in a list."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event, /) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Hold nothing."""


class Named:
    """Believes the header name."""

    kind = "test"

    def __call__(self, call: Call, /) -> Principal | None:
        return Principal(call.headers["name"], self.kind)

    def may_wait(self, _: Call, /) -> bool:
        return False


def test_who_comes_in_is_a_line_once_an_hour_for_each_address_and_way_to_prove_it() -> None:
    kept = Kept()
    access = Access([Named()], audit=kept)
    for _ in range(50):
        for name, address in (("a", "192.0.2.1"), ("a", "192.0.2.2"), ("b", "192.0.2.1")):
            access.admit(Call("POST /v1/tickets", {"name": name}, address))
    access.authenticate(Call("Flight.Handshake", {"name": "a"}, "192.0.2.1"))
    lines = [(one.event, one.principal, one.address, one.result) for one in kept.events]
    assert lines == [
        ("authenticated", "a", "192.0.2.1", "ok: test"),
        ("authenticated", "a", "192.0.2.2", "ok: test"),
        ("authenticated", "b", "192.0.2.1", "ok: test"),
    ]


def test_who_comes_in_after_the_hour_is_a_line_again() -> None:
    logins = Logins(seconds=0.0)
    principal = Principal("a", "api_key")
    assert [logins.is_first(principal, "::1") for _ in range(3)] == [True] * 3


def test_a_caller_with_addresses_without_number_fills_neither_the_log_nor_the_memory() -> None:
    kept = Kept()
    access = Access([Named()], audit=kept)
    for number in range(12_000):
        access.admit(Call("POST /v1/tickets", {"name": "a"}, f"2001:db8:{number:x}::1"))
    assert 600 <= len(kept.events) < 700
    for number in range(11_000):
        access.admit(Call("POST /v1/tickets", {"name": str(number)}, "192.0.2.1"))
    assert len(access._logins._noted) == 10_000


def test_a_log_that_is_a_url_is_refused_and_one_in_a_home_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(sa.ConfigError, match="s3://bucket/audit is a URL"):
        AuditLog("s3://bucket/audit")
    monkeypatch.setenv("HOME", str(tmp_path))
    AuditLog("~/audit.jsonl").close()
    assert (tmp_path / "audit.jsonl").exists()


def test_a_file_that_is_one_endless_line_is_no_log() -> None:
    with pytest.raises(sa.Damaged, match="line 1 was cut off"):
        verify(Path("/dev/zero"))
