"""HTTP headers as scanners judge them, on every answer of every service, errors included."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.process import program
from security.certificates import Authority
from security.deployment import Deployment, Server, client_context, deployed
from stellarrow.net.address import Address
from stellarrow.servers.analytics_http.pages import PATHS
from stellarrow.servers.http import HealthServer

SHOWN: tuple[dict[str, str], ...] = (
    {},
    {"X-API-Key": "{}"},
    {"X-API-Key": "guess"},
    {"X-API-Key": "{}", "Origin": "https://dashboard.example"},
)
# What is for everybody: what describes REST, and the web page.
DOCUMENTS = ("GET /openapi.json", "GET /docs", *(f"GET {path}" for path in PATHS))
Rule = Callable[[str], object]
# What the OWASP Secure Headers Project proposes for an interface without pages, as rules.
WANTED: Mapping[str, Rule] = {
    "strict-transport-security": lambda text: (
        int(re.findall(r"max-age=(\d+)", text)[0]) >= 31_536_000 and "includeSubDomains" in text
    ),
    "x-frame-options": lambda text: text.lower() == "deny",
    "x-content-type-options": lambda text: text == "nosniff",
    "content-security-policy": lambda text: (
        {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"}
        <= set(text.split("; "))
        and "unsafe" not in text
        and "*" not in text
    ),
    "x-permitted-cross-domain-policies": lambda text: text == "none",
    "x-dns-prefetch-control": lambda text: text == "off",
    "referrer-policy": lambda text: text == "no-referrer",
    "cross-origin-embedder-policy": lambda text: text == "require-corp",
    "cross-origin-opener-policy": lambda text: text == "same-origin",
    "cross-origin-resource-policy": lambda text: text == "same-origin",
    "permissions-policy": lambda text: all(f"{one}=()" in text for one in ("camera", "geolocation", "usb")),
    "cache-control": lambda text: "no-store" in text,
    "content-type": lambda text: text.startswith(
        ("application/json", "application/problem+json", "text/plain;", "text/html;")
    ),
}
# What tells strangers which program answers, or is out of use and does harm.
UNWANTED = (
    *("server", "x-powered-by", "via", "x-aspnet-version", "x-runtime", "x-version", "x-generator"),
    *("x-xss-protection", "expect-ct", "public-key-pins", "feature-policy", "set-cookie", "pragma"),
)


# Of documents that are for everybody: a browser may keep them, as long as it asks whether they are still so.
PUBLIC: Mapping[str, Rule] = {
    **WANTED,
    "cache-control": lambda text: text in ("no-store", "no-cache"),
    "content-type": lambda text: text.startswith(("application/json", "text/html; charset=utf-8")),
}


def faults(
    headers: http.client.HTTPMessage, *, has_body: bool = True, rules: Mapping[str, Rule] = WANTED
) -> list[str]:
    """Return what a scanner would say of an answer's headers."""
    found = [f"{name} is there" for name in UNWANTED if name in headers]
    for name, rule in rules.items():
        values = headers.get_all(name) or []
        if name == "content-type" and not has_body:
            continue
        if len(values) != 1 or not rule(values[0]):
            found.append(f"{name}: {values}")
    return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def secured(
    lake: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    flags = {"auth": "api_key", "cors_origins": "https://dashboard.example", **authority.server_flags}
    with deployed(lake, tmp_path_factory.mktemp("headers") / "state", flags) as made:
        yield made


def answers(server: Server, authority: Authority, key: str) -> Iterator[tuple[str, http.client.HTTPResponse]]:
    """Make every call of a server, and some that are wrong, with a key and without."""
    requests = [call.replace("{key_id}", "nobody").split(" ") for call in server.calls]
    requests += [
        ["GET", "/"],
        ["GET", "/nowhere"],
        ["PUT", "/metrics"],
        ["TRACE", "/"],
        ["OPTIONS", "/metrics"],
    ]
    context = client_context(authority.stranger)
    for method, path in requests:
        for headers in SHOWN:
            shown = {name: value.format(key) for name, value in headers.items()}
            connection = http.client.HTTPSConnection(
                server.address.host, server.address.port, timeout=30, context=context
            )
            with closing(connection):
                connection.request(method, path, headers=shown)
                yield f"{method} {path} {sorted(shown)}", connection.getresponse()


def test_every_answer_of_every_service_has_the_headers_that_scanners_ask_for(
    secured: Deployment, authority: Authority
) -> None:
    _, key = secured.store.create("scanner", ["admin"], created_by="test")
    wrong, statuses = [], set()
    for server in (one for one in secured.servers if one.protocol == "http"):
        for name, answer in answers(server, authority, key):
            statuses.add(answer.status)
            is_document = name.split(" [")[0] in DOCUMENTS and answer.status == 200
            rules = PUBLIC if is_document else WANTED
            told = faults(answer.headers, has_body=answer.status != 204, rules=rules)
            wrong += [(server.service, name, answer.status, told)] if told else []
    assert wrong == []
    assert {200, 201, 400, 401, 404, 405} <= statuses


def read_all(connection: socket.socket) -> http.client.HTTPResponse:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"this is no HTTP\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 66_000, 431),  # all of it is read before the answer
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
    ],
    ids=["no HTTP", "two lengths", "a long head", "no host"],
)
def test_the_answer_to_what_is_no_http_has_them_too(
    secured: Deployment, authority: Authority, sent: bytes, status: int
) -> None:
    address = secured.server("source", "http").address
    context: ssl.SSLContext = client_context(authority.stranger)
    with (
        socket.create_connection((address.host, address.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(sent)
        answer = read_all(connection)
        assert (answer.status, faults(answer.headers)) == (status, [])


def test_an_unexpected_error_has_them_too_and_tells_nothing_of_it() -> None:
    def fail(_: Request) -> Response:
        raise RuntimeError("hunter2")

    server = HealthServer(Address("127.0.0.1", 0), ready=threading.Event(), routes=[Route("/sessions", fail)])
    with closing(server):
        server.start()
        connection = http.client.HTTPConnection(server.address.host, server.address.port, timeout=30)
        with closing(connection):
            connection.request("GET", "/sessions")
            answer = connection.getresponse()
            told = [one for one in faults(answer.headers) if "strict-transport" not in one]
            assert (answer.status, told, b"hunter2" in answer.read()) == (500, [], False)


@pytest.mark.parametrize("service", ["source", "processor", "consumer"])
def test_mozillas_scanner_gives_the_best_grade(
    secured: Deployment, authority: Authority, service: str
) -> None:
    node = program("node", remedy="install Node.js")
    servers = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent
    scanner = servers / "node" / "node_modules" / "@mdn" / "mdn-http-observatory"
    if not scanner.is_dir():
        pytest.skip(f"the scanner is not in {scanner}: make servers installs it")
    preloaded = scanner / "conf" / "hsts-preload.json"
    if not preloaded.exists():
        preloaded.write_text("{}")  # the list of the web's hosts, of which ours is none
    port = secured.server(service, "http").address.port
    done = subprocess.run(
        [node, scanner / "src" / "scan.js", f"localhost:{port}"],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(authority.folder / "ca.pem")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    scan = json.loads(done.stdout)["scan"]
    assert (scan["grade"], scan["testsFailed"], scan["testsPassed"] > 5) == ("A+", 0, True)
