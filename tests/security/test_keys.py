"""API keys: how they are made and kept, who they let in, and how they end."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
import urllib3
from pyarrow import flight

import stellarrow as sa
from security.deployment import Deployment, Shown, flight_client
from stellarrow.security.api_keys import ApiKey, make_text, read_text
from stellarrow.security.key_store import KeyStore
from stellarrow.security.principal import Call, Principal
from stellarrow.security.tickets import Tickets
from stellarrow.services.secured import bootstrap

Run = Callable[..., Any]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    with closing(KeyStore(tmp_path / "state" / "api_keys.sqlite3")) as made:
        yield made


def bearer(text: str) -> Shown:
    return Shown({"authorization": f"Bearer {text}"})


def test_a_key_is_written_as_the_contract_says_and_is_never_the_same() -> None:
    public, text = make_text()
    assert re.fullmatch(r"stlr_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", text)
    assert (read_text(text), len({make_text()[1] for _ in range(100)})) == (public, 100)


def test_a_mistyped_key_is_seen_by_its_checksum() -> None:
    _, text = make_text()
    for at in range(5, len(text)):
        changed = text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]
        assert read_text(changed) is None


def test_the_store_keeps_no_secret_and_is_for_its_user_alone(store: KeyStore) -> None:
    _, text = store.create("one", ["reader"], created_by="me", description="a dashboard")
    store.rotate("one", overlap=60)
    held = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert text.encode() not in held
    assert text[14:40].encode() not in held
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_a_store_that_others_may_read_is_closed_to_them_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.sqlite3"
    KeyStore(path).close()
    path.chmod(0o644)
    KeyStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_row_that_was_changed_by_hand_admits_nobody(store: KeyStore) -> None:
    store.create("one", ["reader"], created_by="me")
    with sqlite3.connect(store.path) as database:
        (document,) = database.execute("select document from api_keys").fetchone()
        database.execute("update api_keys set document = ?", (document.replace("reader", "admin"),))
    time.sleep(0.2)
    assert (store.damaged, store.entries()) == (("one",), [])
    with pytest.raises(sa.UnknownApiKey):
        store.get("one")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.sqlite3"
    path.write_bytes(b"not a database, certainly not" * 100)
    with pytest.raises(sa.Damaged, match=r"api_keys\.sqlite3 is damaged"):
        KeyStore(path)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"key_id": "../x"}, "is no name of a key"),
        ({"key_id": "a\0b"}, "is no name of a key"),
        ({"key_id": "x" * 65}, "is no name of a key"),
        ({"roles": ["root"]}, "'root' is no role: choose among admin, reader, processor"),
        ({"roles": []}, "a key needs a role"),
        ({"expires_at": 1.0}, "would have expired already"),
        ({"allowed_networks": ["10.0.0.0/99"]}, "write address ranges as"),
        ({"description": "two\nlines"}, "one line"),
    ],
)
def test_what_cannot_be_meant_is_refused(store: KeyStore, choices: dict[str, Any], told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        store.create(**{"key_id": "one", "roles": ["reader"], "created_by": "me", **choices})
    assert store.entries() == []


def test_a_name_is_taken_until_its_key_is_revoked(store: KeyStore) -> None:
    store.create("one", ["reader"], created_by="me")
    with pytest.raises(sa.ApiKeyExists):
        store.create("one", ["reader"], created_by="me")
    store.revoke("one")
    with pytest.raises(sa.UnknownApiKey):
        store.revoke("one")
    store.create("one", ["processor"], created_by="me")
    assert store.get("one").roles == ("processor",)


def test_many_threads_and_two_stores_lose_no_change(store: KeyStore) -> None:
    def make(number: int) -> None:
        with closing(KeyStore(store.path)) as other:
            for one in (store, other):
                one.create(f"key-{number}-{one is store}", ["reader"], created_by="me")

    threads = [threading.Thread(target=make, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.2)
    assert len(store.entries()) == 12


def test_a_process_killed_while_it_makes_keys_leaves_a_whole_store(tmp_path: Path) -> None:
    path = tmp_path / "api_keys.sqlite3"
    code = (
        "import sys; from pathlib import Path; from stellarrow.security.key_store import KeyStore\n"
        "store = KeyStore(Path(sys.argv[1]))\n"
        "for at in range(10_000):\n"
        "    store.create(f'key-{at}', ['reader'], created_by='me'); print(at, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    said = [int(process.stdout.readline()) for _ in range(20)]
    process.kill()
    process.communicate()
    with closing(KeyStore(path)) as again:
        assert {f"key-{at}" for at in said} <= {key.key_id for key in again.entries()}
        assert again.damaged == ()


def test_the_first_admin_key_comes_from_a_file_or_is_written_there(store: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "secret" / "admin"
    bootstrap(store, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = read_text(path.read_text().strip())
    assert public
    assert store.find(public)
    bootstrap(store, path)
    store.revoke("bootstrap-admin")
    bootstrap(store, path)
    assert [(key.key_id, key.state()) for key in store.entries()] == [("bootstrap-admin", "revoked")]


def test_a_file_with_something_else_is_no_admin_key(store: KeyStore, tmp_path: Path) -> None:
    path = tmp_path / "admin"
    path.write_text("hunter2")
    with pytest.raises(sa.ConfigError, match="is no API key"):
        bootstrap(store, path)


# Over HTTP


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


# Streams


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


# The command line


def test_keys_are_made_listed_rotated_and_revoked_on_the_command_line(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = stellarrow(
        "keys", "create", "board", "--role", "reader", "--network", "10.0.0.1/8", "--expires", "never"
    )
    assert (made.code, bool(read_text(made.out.strip()))) == (0, True)
    (listed,) = json.loads(stellarrow("keys", "list", "--json").out)
    assert (listed["key_id"], listed["allowed_networks"], listed["expires_at"]) == (
        "board",
        ["10.0.0.0/8"],
        None,
    )
    assert "board" in stellarrow("keys", "list").out
    rotated = stellarrow("keys", "rotate", "board", "--overlap", "0s")
    assert read_text(rotated.out.strip()) not in (None, read_text(made.out.strip()))
    assert len(json.loads(stellarrow("keys", "show", "board", "--json").out)["secrets"]) == 1
    assert stellarrow("keys", "revoke", "board").out == "board is revoked\n"
    again = stellarrow("keys", "revoke", "board")
    assert (again.code, again.err.startswith("error: the API key 'board' is revoked already")) == (1, True)
    events = [
        json.loads(line)["event"] for line in Path("stellarrow-state/audit.jsonl").read_text().splitlines()
    ]
    assert events == ["key created", "key rotated", "key revoked", "key revoked"]
    assert stellarrow("audit", "verify", "stellarrow-state/audit.jsonl").code == 0


def test_a_wrong_role_on_the_command_line_is_wrong_usage(
    stellarrow: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = stellarrow("keys", "create", "x", "--role", "root")
    assert (done.code, "'root' is no role" in done.err) == (2, True)
    assert stellarrow("keys", "create", "x", "--role", "reader", "--expires", "soon").code == 2


def test_a_key_admits_from_its_networks_alone() -> None:
    key = ApiKey(
        key_id="x", roles=(), created_at=0, created_by="", allowed_networks=("10.0.0.0/8", "fd00::/8")
    )
    where = {
        "10.1.2.3": True,
        "::ffff:10.1.2.3": True,
        "11.0.0.1": False,
        "fd01::1": True,
        "": False,
        "x": False,
    }
    assert {address: key.admits(address) for address in where} == where
