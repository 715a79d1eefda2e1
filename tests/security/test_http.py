"""What HTTP tells browsers, whom it believes about addresses, and how much it takes."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3
from starlette.responses import Response
from starlette.routing import Route

import stellarrow as sa
from security.deployment import Deployment, Shown, deployed
from stellarrow.config import Processor, read
from stellarrow.net.address import Address
from stellarrow.net.bounded_json import read_object
from stellarrow.security.access import Access, Policy
from stellarrow.security.limits import Buckets, Rate, caller_of
from stellarrow.security.principal import Call
from stellarrow.security.proxies import TrustedProxies
from stellarrow.servers.http import HealthServer


@pytest.fixture(scope="module")
def limited(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    flags = {
        "auth": "api_key",
        "anonymous_role": "reader",
        "rate_limit": "20/m",
        "rate_limit_anonymous": "30/m",
        "cors_origins": "https://dashboard.example",
        "trusted_proxies": "127.0.0.0/8",
    }
    with deployed(lake, tmp_path_factory.mktemp("limited") / "state", flags) as made:
        yield made


def get(deployment: Deployment, path: str, **headers: str) -> Any:
    address = deployment.server("processor", "http").address
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return urllib3.request("GET", f"http://{address}{path}", headers=named, retries=False, timeout=10)


def test_every_answer_tells_browsers_to_be_careful(with_keys: Deployment) -> None:
    for path in ("/health", "/sessions", "/nowhere"):
        headers = get(with_keys, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert all(name in headers for name in ("Referrer-Policy", "Permissions-Policy", "X-Request-Id"))
        assert "Server" not in headers
        assert "Strict-Transport-Security" not in headers  # there is no TLS here


def test_a_request_keeps_its_own_harmless_name_and_gets_another_else(with_keys: Deployment) -> None:
    assert get(with_keys, "/health", X_Request_ID="mine-1").headers["X-Request-ID"] == "mine-1"
    for bad in ("a b", "x" * 65, "<script>"):
        assert get(with_keys, "/health", X_Request_ID=bad).headers["X-Request-ID"] != bad


def test_a_page_of_another_origin_reads_nothing_unless_it_is_named(
    with_keys: Deployment, limited: Deployment
) -> None:
    assert (
        "Access-Control-Allow-Origin" not in get(with_keys, "/health", Origin="https://evil.example").headers
    )
    address = limited.server("processor", "http").address
    for origin, allowed in (("https://dashboard.example", True), ("https://evil.example", False)):
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        answer = urllib3.request("OPTIONS", f"http://{address}/sessions", headers=headers)
        assert (answer.headers.get("Access-Control-Allow-Origin") == origin) is allowed
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://dashboard.example"}, 404),  # named: it goes on to the reader that is not there
        ({"Origin": "http://HOST"}, 404),
        ({}, 404),
        ({"Origin": "https://evil.example", "Authorization": "Bearer x"}, 404),
    ],
)
def test_a_page_of_another_place_changes_nothing_where_nobody_shows_a_credential(
    headers: dict[str, str], expected: int
) -> None:
    gone = Route("/readers/{name}", lambda _: Response(status_code=404), methods=["DELETE"])
    server = HealthServer(
        Address("127.0.0.1", 0),
        ready=threading.Event(),
        routes=[gone],
        cors_origins=["https://dashboard.example"],
    )
    with closing(server):
        server.start()
        sent = {name: value.replace("HOST", str(server.address)) for name, value in headers.items()}
        answer = urllib3.request("DELETE", f"http://{server.address}/readers/x", headers=sent)
        assert answer.status == expected
        if expected == 403:
            assert b"name it in CORS_ORIGINS" in answer.data
        assert urllib3.request("GET", f"http://{server.address}/health/live", headers=sent).status == 200


REBOUND = "evil.example"


@pytest.mark.parametrize(
    ("bound", "host", "allowed", "expected"),
    [
        ("127.0.0.1", "PORT", (), 200),
        ("127.0.0.1", "localhost:PORT", (), 200),
        ("127.0.0.1", "LOCALHOST.", (), 200),
        ("127.0.0.1", "app.localhost", (), 200),
        ("127.0.0.1", "[::1]:PORT", (), 200),
        ("127.0.0.1", "127.0.0.2", (), 200),
        ("127.0.0.1", REBOUND, (), 421),
        ("127.0.0.1", f"{REBOUND}:PORT", (), 421),
        ("127.0.0.1", "localhost.evil.example", (), 421),
        ("127.0.0.1", "127.0.0.1.evil.example", (), 421),
        ("127.0.0.1", "10.0.0.1", (), 421),
        ("127.0.0.1", "localhost@evil.example", (), 421),
        ("127.0.0.1", "[evil", (), 421),
        ("127.0.0.1", "stellar.example:PORT", ("stellar.example",), 200),
        ("127.0.0.1", "Stellar.Example.", ("stellar.example:8081",), 200),
        ("127.0.0.1", REBOUND, ("*",), 200),
        ("127.0.0.1", "source.stellar.svc:PORT", ("*.svc",), 200),
        ("127.0.0.1", "evilsvc", ("*.svc",), 421),
        ("127.0.0.1", "x.svc.evil.example", ("*.svc",), 421),
        ("127.0.0.1", socket.gethostname(), (), 421),
        ("0.0.0.0", socket.gethostname(), (), 200),  # noqa: S104  compared on one machine
        ("0.0.0.0", "10.0.0.1:PORT", (), 200),  # noqa: S104  one of its addresses, for all it knows
        ("0.0.0.0", REBOUND, (), 421),  # noqa: S104  as above
    ],
)
def test_a_page_whose_name_points_here_is_answered_nothing(
    bound: str, host: str, allowed: tuple[str, ...], expected: int
) -> None:
    made = HealthServer(
        Address(bound, 0), ready=threading.Event(), allowed_hosts=allowed, insecure=bound != "127.0.0.1"
    )
    with closing(made) as server:
        server.start()
        at = f"127.0.0.1:{server.address.port}"
        named = at if host == "PORT" else host.replace("PORT", str(server.address.port))
        for path in ("/health/live", "/metrics", "/nowhere"):
            answer = urllib3.request("GET", f"http://{at}{path}", headers={"Host": named})
            assert answer.status == (expected if expected == 421 or path != "/nowhere" else 404)
            if expected == 421:
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert "name the host in ALLOWED_HOSTS" in answer.json()["detail"]


def test_where_credentials_are_asked_for_any_name_is_answered(with_keys: Deployment) -> None:
    assert get(with_keys, "/health/live", Host=REBOUND).status == 200
    assert get(with_keys, "/sessions", Host=REBOUND).status == 401


def test_a_caller_that_is_too_fast_is_told_when_to_come_back(limited: Deployment) -> None:
    _, text = limited.store.create("fast", ["reader"], created_by="test")
    answers = [get(limited, "/sessions", X_API_Key=text, X_Forwarded_For="198.51.100.1") for _ in range(25)]
    assert [one.status for one in answers[:20]] == [200] * 20
    refused = answers[-1]
    assert (refused.status, 1 <= int(refused.headers["Retry-After"]) <= 3) == (429, True)
    for protocol, call in (
        ("flight", "Flight.ListFlights"),
        ("grpc", "/contractdata.v1.ControlService/GetStatus"),
    ):
        shown = Shown({"authorization": f"Bearer {text}"})
        assert limited.server("processor", protocol).outcome(call, shown) == "too many"
    _, other = limited.store.create("slow", ["reader"], created_by="test")
    assert get(limited, "/sessions", X_API_Key=other).status == 200


def test_strangers_are_counted_by_address_and_a_proxy_of_ours_tells_it(limited: Deployment) -> None:
    for _ in range(30):
        assert get(limited, "/sessions", X_Forwarded_For="203.0.113.7").status == 200
    assert get(limited, "/sessions", X_Forwarded_For="203.0.113.7").status == 429
    # What the caller put before our proxy's entry is not believed.
    assert get(limited, "/sessions", X_Forwarded_For="192.0.2.1, 203.0.113.7").status == 429
    assert get(limited, "/sessions", X_Forwarded_For="203.0.113.8").status == 200


def test_a_key_bound_to_a_network_is_judged_by_the_address_that_our_proxy_tells(limited: Deployment) -> None:
    _, text = limited.store.create(
        "bound", ["reader"], created_by="test", allowed_networks=["203.0.113.0/24"]
    )
    assert get(limited, "/sessions", X_API_Key=text, X_Forwarded_For="203.0.113.9").status == 200
    assert get(limited, "/sessions", X_API_Key=text, X_Forwarded_For="192.0.2.1").status == 401
    assert get(limited, "/sessions", X_API_Key=text).status == 401


@pytest.mark.parametrize(
    ("peer", "header", "found"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "192.0.2.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7\x00", "10.0.0.1"),
        ("203.0.113.1", "127.0.0.1", "203.0.113.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_an_address_is_taken_from_trusted_proxies_alone(peer: str, header: str, found: str) -> None:
    call = Call("GET /metrics", {"x-forwarded-for": header}, peer)
    assert TrustedProxies(["10.0.0.0/8"]).located(call).address == found


def test_a_subscribers_whole_ipv6_network_is_one_caller() -> None:
    assert caller_of("2001:db8:0:1::1") == caller_of("2001:db8:0:1:ffff::2")
    assert caller_of("2001:db8:0:1::1") != caller_of("2001:db8:0:2::1")
    assert caller_of("::ffff:192.0.2.1") == "192.0.2.1"


def test_strangers_without_number_take_bounded_memory() -> None:
    buckets = Buckets(Rate.of(1, 60))
    for number in range(30_000):
        buckets.take(str(number))
    assert len(buckets._held) == 10_000
    assert buckets.take("29999") > 0


def test_guessing_keys_is_slowed_down_and_fills_no_log_while_a_good_key_still_works(
    lake: Path, tmp_path: Path
) -> None:
    with deployed(lake, tmp_path / "state", {"auth": "api_key"}) as deployment:
        access = deployment.services["processor"]._secured.access
        access._failures = Buckets(Rate.of(60, 60))
        _, text = deployment.store.create("good", ["reader"], created_by="test")
        statuses = [get(deployment, "/sessions", X_API_Key=f"guess-{number}").status for number in range(120)]
        assert statuses[:60] == [401] * 60
        assert set(statuses[70:]) <= {401, 429}
        assert statuses.count(429) > 40
        lines = (deployment.state_dir / "audit.jsonl").read_text().splitlines()
        assert len(lines) == statuses.count(401)
        assert get(deployment, "/sessions", X_API_Key=text).status == 200


def test_refusing_a_call_costs_less_than_a_millisecond() -> None:
    access = Access([], policy=Policy(failure_rate=Rate.of(1, 60)))
    call = Call("GET /sessions", {"authorization": "Bearer guess"}, "192.0.2.1")
    began = time.process_time()
    for _ in range(1_000):
        with pytest.raises((sa.Unauthenticated, sa.TooManyCalls)):
            access.admit(call)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        b'{"a":' * 33 + b"1" + b"}" * 33,
        b"{" + b" " * 70_000 + b"}",
        b"\xff",
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"7",
    ],
    ids=["open", "very deep", "deep", "large", "not UTF-8", "digits", "a number"],
)
def test_json_of_a_stranger_is_bounded(text: bytes) -> None:
    with pytest.raises(sa.ConfigError, match="the body"):
        read_object(text, "the body", largest=64 << 10)
    assert read_object(b'{"a": [[1]]}', "the body", largest=100) == {"a": [[1]]}


@pytest.mark.parametrize(
    "head",
    [
        b"GET /sessions HTTP/1.1\r\nHost: x\r\nX-API-Key: a\r\nX-API-Key: b\r\n\r\n",
        b"GET /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n\r\n",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /v1/admin/api-keys HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"GET /sessions HTTP/1.1\r\nHost: x\r\nX-A: b\r\n X-API-Key: folded\r\n\r\n",
        b"GET /sessions HTTP/1.1\r\nHost: x\r\nX-A: b\nX-API-Key: smuggled\r\n\r\n",
        b"GET /health/live/../../sessions HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health/live%2f..%2f..%2fsessions HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET //sessions HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://other/sessions HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /sessions\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /sessions HTTP/1.1\r\nHost: x\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_a_request_made_to_be_misread_reaches_nothing(with_keys: Deployment, head: bytes) -> None:
    address = with_keys.server("processor", "http").address
    with socket.create_connection((address.host, address.port), timeout=10) as client:
        client.sendall(head)
        status = client.recv(4_096).split(b" ", 2)[1]
    assert status in (b"400", b"401", b"404", b"413", b"431")


def test_the_answer_of_a_service_repeats_no_line_break_of_the_caller(with_keys: Deployment) -> None:
    answer = get(with_keys, "/v1/admin/api-keys/x%0d%0aSet-Cookie:%20a=b")
    assert "Set-Cookie" not in answer.headers


def test_nothing_is_redirected_and_no_method_is_answered_that_has_no_route(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("methods", ["admin"], created_by="test")
    address = with_keys.server("processor", "http").address
    for method, path, status in (
        ("GET", "/sessions/", 404),
        ("GET", "//evil.example/", 404),
        ("TRACE", "/sessions", 405),
        ("PUT", "/v1/admin/api-keys", 405),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
    ):
        answer = urllib3.request(
            method, f"http://{address}{path}", headers={"X-API-Key": text}, redirect=False, retries=False
        )
        assert (method, path, answer.status) == (method, path, status)


def test_a_key_in_a_url_lets_nobody_in(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("in-url", ["admin"], created_by="test")
    for query in (
        f"api_key={text}",
        f"token={text}",
        f"access_token={text}",
        f"authorization=Bearer%20{text}",
    ):
        assert get(with_keys, f"/sessions?{query}").status == 401


def test_a_compressed_body_is_not_unpacked(with_keys: Deployment) -> None:
    _, text = with_keys.store.create("zip", ["admin"], created_by="test")
    address = with_keys.server("processor", "http").address
    headers = {"X-API-Key": text, "Content-Encoding": "gzip"}
    url = f"http://{address}/v1/admin/api-keys"
    answer = urllib3.request("POST", url, body=b"\x1f\x8b", headers=headers)
    assert (answer.status, "compressed" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("RATE_LIMIT", "fast", "a rate such as"),
        ("RATE_LIMIT", "0/s", "a rate such as"),
        ("TRUSTED_PROXIES", "everybody", "address ranges"),
        ("AUTH", "password", "it must be a list of"),
        ("ANONYMOUS_ROLE", "root", "it must be"),
    ],
)
def test_a_wrong_setting_is_one_sentence(name: str, value: str, told: str) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        read(Processor, environ={name: value})


def test_the_older_familys_names_are_read_in_section_security(tmp_path: Path) -> None:
    file = tmp_path / "stellarrow.toml"
    text = '[security]\ncert_file = "c.pem"\nkey_file = "k.pem"\nauth_enabled = {}\nauth_type = "api_key"\n'
    for switch, auth in (("true", ("api_key",)), ("false", ())):
        file.write_text(text.format(switch))
        settings = read(Processor, environ={}, file=file)
        assert (str(settings.tls_certificate), str(settings.tls_key), settings.auth) == (
            "c.pem",
            "k.pem",
            auth,
        )


def test_a_section_security_holds_for_every_service_and_a_file_may_hold_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "stellarrow.toml"
    file.write_text('[security]\nauth = ["api_key"]\nrate_limit = "5/s"\n[processor]\nrate_limit = "7/s"\n')
    settings = read(Processor, environ={}, file=file)
    assert (settings.auth, settings.rate_limit) == (("api_key",), "7/s")
    secret = tmp_path / "token"
    secret.write_text("hunter2\n")
    given = read(Processor, environ={"SOURCE_TOKEN_FILE": str(secret)})
    assert given.source_token == "hunter2"
    assert "hunter2" not in json.dumps(list(given.shown()))
    with pytest.raises(sa.ConfigError, match=r"SOURCE_TOKEN_FILE names .*, which cannot be read"):
        read(Processor, environ={"SOURCE_TOKEN_FILE": str(tmp_path / "nothing")})
