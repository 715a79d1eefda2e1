"""API keys over HTTP, tickets, and how streams end with the key they were opened with."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import urllib3
from pyarrow import flight

import stellarrow as sa
from security.deployment import Deployment, Shown, flight_client
from stellarrow.security.api_keys import make_text
from stellarrow.security.principal import Call, Principal
from stellarrow.security.tickets import Tickets


def bearer(text: str) -> Shown:
    return Shown({"authorization": f"Bearer {text}"})


def admin(deployment: Deployment, name: str) -> Callable[..., tuple[int, Any]]:
    """Return what asks the processor's HTTP as an administrator."""
    _, text = deployment.store.create(name, ["admin"], created_by="test")
    base = f"http://{deployment.server('processor', 'http').address}/v1/admin/api-keys"
    pool = urllib3.PoolManager(retries=False)

    def ask(method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        answer = pool.request(
            method, base + path, json=body, headers={"Authorization": f"Bearer {text}"}, timeout=10
        )
        return answer.status, answer.json() if answer.data else None

    return ask


def test_a_key_is_made_shown_rotated_and_revoked_over_http(with_keys: Deployment) -> None:
    ask = admin(with_keys, "http-admin")
    status, made = ask("POST", body={"key_id": "board", "roles": ["reader"], "description": "wall"})
    assert (status, made["roles"], made["created_by"]) == (201, ["reader"], "http-admin")
    assert "api_key" not in ask("GET", "/board")[1]
    assert ask("POST", body={"key_id": "board", "roles": ["reader"]})[0] == 409
    reads = with_keys.server("source", "flight")
    time.sleep(0.2)
    assert reads.outcome("Flight.ListFlights", bearer(made["api_key"])) == "ok"
    status, rotated = ask("POST", "/board/rotate", {"overlap": "1s"})
    assert status == 200
    time.sleep(0.2)
    both = (made["api_key"], rotated["api_key"])
    assert [reads.outcome("Flight.ListFlights", bearer(one)) for one in both] == ["ok", "ok"]
    time.sleep(1)
    assert [reads.outcome("Flight.ListFlights", bearer(one)) for one in both] == ["unauthenticated", "ok"]
    assert ask("DELETE", "/board") == (204, None)
    http = with_keys.server("processor", "http")
    assert http.outcome("GET /metrics", bearer(rotated["api_key"])) == "unauthenticated"
    assert ask("DELETE", "/board")[0] == 404
    assert "board" in [one["key_id"] for one in ask("GET")[1]["api_keys"]]


def test_what_is_done_to_keys_over_http_is_in_the_audit_log(with_keys: Deployment) -> None:
    ask = admin(with_keys, "noted-admin")
    ask("POST", body={"key_id": "noted", "roles": ["reader"]})
    ask("POST", "/noted/rotate")
    ask("DELETE", "/noted")
    ask("DELETE", "/noted")
    lines = [json.loads(line) for line in (with_keys.state_dir / "audit.jsonl").read_text().splitlines()]
    told = [(one["event"], one["principal"], one["result"][:13]) for one in lines if one["target"] == "noted"]
    assert told == [
        ("key created", "noted-admin", "ok"),
        ("key rotated", "noted-admin", "ok"),
        ("key revoked", "noted-admin", "ok"),
        ("key revoked", "noted-admin", "UnknownApiKey"),
    ]


def test_a_ticket_stands_for_its_caller_once_and_not_for_long(
    with_keys: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = with_keys.store.create("page", ["reader"], created_by="test")
    http = with_keys.server("processor", "http")

    def ticket() -> str:
        answer = urllib3.request("POST", f"http://{http.address}/v1/tickets", headers={"X-API-Key": text})
        assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
        return str(answer.json()["ticket"])

    once = bearer(ticket())
    assert [http.outcome("GET /sessions", once) for _ in range(2)] == ["ok", "unauthenticated"]
    denied = bearer(ticket())
    assert http.outcome("GET /v1/admin/api-keys", denied) == "denied"
    foreign = with_keys.server("source", "http")
    assert foreign.outcome("GET /metrics", bearer(ticket())) == "unauthenticated"
    assert http.outcome("GET /sessions", bearer("stkt_" + "x" * 43)) == "unauthenticated"
    held = [ticket() for _ in range(3)]
    with_keys.store.revoke("page")
    time.sleep(0.2)
    assert http.outcome("GET /sessions", bearer(held[0])) == "unauthenticated"
    monkeypatch.setattr("stellarrow.security.tickets.SECONDS", -1.0)
    tickets = Tickets()
    late = tickets.issue(Principal("me"))
    with pytest.raises(sa.Unauthenticated):
        tickets(Call("GET /sessions", {"authorization": f"Bearer {late}"}))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"key_id": 7, "roles": ["reader"]},
        {"key_id": "x", "roles": "reader"},
        {"key_id": "x", "roles": ["root"]},
        {"key_id": "x", "roles": ["reader"], "expires_at": "soon"},
        {"key_id": "x", "roles": ["reader"], "expires_at": "2020-01-01T00:00:00Z"},
        {"key_id": "x", "roles": ["reader"], "admin": True},
        {"key_id": "../../etc/passwd", "roles": ["reader"]},
        {"key_id": "x", "roles": ["reader"], "description": "d" * 70_000},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_a_request_that_cannot_be_meant_is_a_400(with_keys: Deployment, body: Any) -> None:
    ask = admin(with_keys, f"bad-{os.urandom(4).hex()}")
    assert ask("POST", body=body)[0] == 400


def test_a_deeply_nested_body_is_refused(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("nested", ["admin"], created_by="test")
    url = f"http://{with_keys.server('processor', 'http').address}/v1/admin/api-keys"
    for body in (b"[" * 60_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000):
        answer = urllib3.request("POST", url, body=body, headers={"Authorization": f"Bearer {text}"})
        assert answer.status == 400


def test_answers_to_administrators_are_kept_by_no_cache(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("cached", ["admin"], created_by="test")
    url = f"http://{with_keys.server('processor', 'http').address}/v1/admin/api-keys"
    answer = urllib3.request("GET", url, headers={"X-API-Key": text})
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")


def follow(deployment: Deployment, service: str, text: str) -> Any:
    server = deployment.server(service, "flight")
    table = b"raw_ledgers" if service == "source" else b"ledgers"
    client = flight_client(server, bearer(text))
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {text}".encode())])
    return client, client.do_get(flight.Ticket(b'{"table": "%s", "follow": true}' % table), options)


@pytest.mark.parametrize("service", ["source", "processor"])
def test_a_flight_stream_ends_within_five_seconds_of_the_revocation_of_its_key(
    with_keys: Deployment, service: str
) -> None:
    if service == "processor":
        with_keys.services["processor"].processor.start(100, 0)
    _, text = with_keys.store.create(f"stream-{service}", ["reader"], created_by="test")
    time.sleep(0.2)
    client, stream = follow(with_keys, service, text)
    stream.read_chunk()
    with_keys.store.revoke(f"stream-{service}")
    began = time.monotonic()
    with pytest.raises(flight.FlightUnauthenticatedError, match="has expired or was revoked"):
        stream.read_all()
    assert time.monotonic() - began < 5
    client.close()


def test_a_grpc_stream_ends_within_five_seconds_of_the_revocation_of_its_key(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("stream-grpc", ["reader"], created_by="test")
    time.sleep(0.2)
    with grpc.insecure_channel(str(with_keys.server("source", "grpc").address)) as channel:
        method: Any = channel.unary_stream("/raw_ledger_service.RawLedgerService/StreamRawLedgers")
        stream = method(b"\x08\x64", metadata=[("authorization", f"Bearer {text}")], timeout=20)
        next(stream)
        with_keys.store.revoke("stream-grpc")
        began = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            for _ in stream:
                pass
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert time.monotonic() - began < 5


def test_flights_basic_handshake_is_answered_with_a_token(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("basic", ["reader"], created_by="test")
    time.sleep(0.2)
    client = flight_client(with_keys.server("processor", "flight"), Shown())
    token = client.authenticate_basic_token("key", text)
    assert len(list(client.list_flights(options=flight.FlightCallOptions(headers=[token])))) > 0
    for user, password in (("key", "wrong"), ("root", text)):
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.authenticate_basic_token(user, password)
    client.close()


def test_the_day_of_the_last_use_is_noted(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("used", ["reader"], created_by="test")
    time.sleep(0.2)
    assert with_keys.store.get("used").last_used is None
    with_keys.server("source", "http").outcome("GET /metrics", bearer(text))
    time.sleep(0.2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", with_keys.store.get("used").last_used or "")


def test_no_answer_metric_or_log_shows_a_key(with_keys: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    _, text = with_keys.store.create("quiet", ["admin"], created_by="test")
    _, unknown = make_text()
    time.sleep(0.2)
    for server in with_keys.servers:
        for call in server.calls:
            for one in (text, unknown):
                server.outcome(call, bearer(one))
    http = with_keys.server("source", "http").address
    metrics = urllib3.request("GET", f"http://{http}/metrics", headers={"X-API-Key": text}).data.decode()
    assert 'api_key_usage_total{key_id="quiet"}' in metrics
    assert 'auth_attempts_total{status="failure",type="api_key"}' in metrics
    audit = (with_keys.state_dir / "audit.jsonl").read_text()
    for one in (text, unknown):
        assert one[14:40] not in metrics + audit + caplog.text
