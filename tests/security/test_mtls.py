"""Mutual TLS: whom a certificate is of, what it may do, and how certificates change without a restart."""

from __future__ import annotations

import json
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
import urllib3
from cryptography.hazmat.primitives import serialization
from pyarrow import flight

import stellarrow as sa
from security.certificates import Authority
from security.deployment import Deployment, Server, Shown, client_context, deployed, flight_client
from security.test_matrix import every, expected
from stellarrow.config import Processor, read
from stellarrow.security.mtls import read_roles
from stellarrow.security.permissions import ROLES, RULES, Asked
from stellarrow.security.tls import Tls
from stellarrow.services.secured import Secured
from stellarrow.telemetry.metrics import Metrics

ROLES_OF = "admin.example=admin,reader.example=reader,processor.example=processor+reader"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(
    lake: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    flags = {"auth": "mtls,api_key", "mtls_roles": ROLES_OF, **authority.flags}
    with deployed(lake, tmp_path_factory.mktemp("mtls") / "state", flags) as made:
        yield made


def reached(server: Server, call: str, shown: Shown) -> str:
    """Make a call; a handshake that fails lets nobody in either."""
    try:
        return server.outcome(call, shown)
    except (urllib3.exceptions.HTTPError, ssl.SSLError, ConnectionError):
        return "unauthenticated"


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("by", ["SAN", "common name"])
def test_a_certificate_permits_what_the_roles_of_its_name_do(
    mutual: Deployment, authority: Authority, role: str, by: str
) -> None:
    name = f"{role}.example"
    shown = authority.client(name) if by == "SAN" else authority.client("unknown.example", common_name=name)
    wrong = []
    for server, call in every(mutual):
        if by != "SAN" and server.protocol == "flight":
            continue  # Flight tells the first name of the SAN alone
        if (outcome := reached(server, call, shown)) != expected(call, role):
            wrong.append((server.service, call, outcome))
    assert wrong == []


def test_a_certificate_without_roles_is_known_and_may_do_nothing(
    mutual: Deployment, authority: Authority
) -> None:
    shown = authority.client("nobody.example")
    wrong = []
    for server, call in every(mutual):
        due = "ok" if isinstance(RULES[call].need, Asked) else "denied"
        due = "status alone" if call == "GET /health" else due
        due = "denied" if call == "WEBSOCKET /v1/ws" else due  # it connects, and subscribes to nothing
        if (outcome := reached(server, call, shown)) != due:
            wrong.append((server.service, call, outcome))
    assert wrong == []


@pytest.mark.parametrize("state", ["none", "another authority", "expired"])
def test_without_a_good_certificate_no_call_is_answered_at_all(
    mutual: Deployment, authority: Authority, state: str
) -> None:
    shown = {
        "none": lambda: authority.stranger,
        "another authority": lambda: authority.client("admin.example", signer=trustme.CA()),
        "expired": lambda: authority.client("admin.example", expired=True),
    }[state]()
    outcomes = {reached(server, call, shown) for server, call in every(mutual)}
    assert outcomes <= {"unauthenticated", "too many"}  # the latter is what UNAVAILABLE is read as


def test_a_bad_key_is_refused_though_the_certificate_is_good(
    mutual: Deployment, authority: Authority
) -> None:
    shown = replace(authority.client("admin.example"), headers={"authorization": "Bearer stlr_bad"})
    assert reached(mutual.server("processor", "http"), "GET /metrics", shown) == "unauthenticated"
    _, text = mutual.store.create("beside", ["reader"], created_by="test")
    shown = replace(authority.client("admin.example"), headers={"authorization": f"Bearer {text}"})
    assert reached(mutual.server("processor", "http"), "GET /v1/admin/api-keys", shown) == "denied"


def test_roles_of_certificates_are_read_or_refused_in_a_sentence() -> None:
    assert read_roles(["spiffe://a=b/c=reader", "*=reader+processor"]) == {
        "spiffe://a=b/c": ("reader",),
        "*": ("reader", "processor"),
    }
    for wrong, told in (("x", "write NAME=role"), ("x=root", "is no role"), ("=reader", "write NAME=role")):
        with pytest.raises(sa.ConfigError, match=told):
            read_roles([wrong])


# Reloading


def served(server: Server, shown: Shown) -> str:
    """Return the serial number of the certificate that a new connection is shown."""
    context = client_context(shown)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if server.protocol != "http":
        context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((server.address.host, server.address.port), timeout=10) as plain,
        context.wrap_socket(plain) as secured,
    ):
        shown_by_server = secured.getpeercert(binary_form=True)
        assert shown_by_server
        return str(hash(shown_by_server))


def until(true: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_renewed_certificate_is_served_and_no_stream_is_dropped(lake: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    flags = {"auth": "mtls", "mtls_roles": "*=reader", **authority.flags}
    shown = authority.client("me.example")
    with deployed(lake, tmp_path / "state", flags) as deployment:
        raw = deployment.server("source", "flight")
        client = flight_client(raw, shown)
        stream = client.do_get(flight.Ticket(b'{"table": "raw_ledgers", "follow": false}'))
        first = stream.read_chunk().data.num_rows
        kept = urllib3.connection_from_url(
            f"https://{deployment.server('source', 'http').address}",
            ssl_context=client_context(shown),
            maxsize=1,
        )
        assert kept.request("GET", "/metrics").status == 200
        servers = deployment.servers
        before = {server: served(server, shown) for server in servers}
        authority.renew()
        for server in servers:
            until(lambda server=server: _changed(server, shown, before[server]))  # type: ignore[misc]
        assert kept.request("GET", "/metrics").status == 200
        assert kept.num_connections == 1
        rest = sum(chunk.data.num_rows for chunk in stream)
        assert first + rest == 40
        for server, call in (
            (raw, "Flight.DoGet"),
            (deployment.server("source", "grpc"), "/grpc.health.v1.Health/Check"),
        ):
            assert server.outcome(call, shown) == "ok"
        client.close()
        kept.close()
        events = [
            json.loads(line)["event"]
            for line in (tmp_path / "state" / "audit.jsonl").read_text().splitlines()
        ]
        assert "settings reloaded" in events


def _changed(server: Server, shown: Shown, before: str) -> bool:
    try:
        return served(server, shown) != before
    except OSError:  # at the moment in which Flight changes over
        return False


def test_callers_of_another_authority_are_let_in_or_kept_out_when_the_file_changes(
    lake: Path, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    other = trustme.CA()
    flags = {"auth": "mtls", "mtls_roles": "*=reader", **authority.flags}
    old, new = authority.client("old.example"), authority.client("new.example", signer=other)
    calls = {"http": "GET /metrics", "grpc": "/grpc.health.v1.Health/Check", "flight": "Flight.ListFlights"}
    with deployed(lake, tmp_path / "state", flags) as deployment:
        servers = [deployment.server("processor", protocol) for protocol in calls]
        assert [reached(one, calls[one.protocol], old) for one in servers] == ["ok"] * 3
        assert "ok" not in [reached(one, calls[one.protocol], new) for one in servers]
        other.cert_pem.write_to_path(authority.folder / "ca.pem")
        for one in servers:
            until(lambda one=one: reached(one, calls[one.protocol], new) == "ok")  # type: ignore[misc]
        assert "ok" not in [reached(one, calls[one.protocol], old) for one in servers]


def test_files_that_make_no_identity_change_nothing_and_are_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    told: list[str] = []
    files = (authority.folder / "certificate.pem", authority.folder / "key.pem")
    tls = Tls(*files, reloaded=told.append)
    before = tls.current()
    files[0].write_bytes(b"no certificate")
    tls._looked_at = 0.0
    assert tls.current() is before
    assert "make no TLS identity" in told[0]
    files[1].unlink()
    tls._looked_at = 0.0
    assert tls.current() is before
    authority.renew()
    tls._looked_at = 0.0
    assert (tls.current().number, told[-1]) == (2, "")


def test_a_key_that_others_may_read_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    for mode, told in ((0o600, 0), (0o644, 1)):
        (tmp_path / "key.pem").chmod(mode)
        caplog.clear()
        settings = read(Processor, authority.server_flags, environ={})
        Secured(settings, tmp_path / "state", Metrics()).close()
        assert caplog.text.count(f"chmod 600 {tmp_path}/key.pem") == told


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    encrypted = trustme.CA().issue_cert("x").private_key_pem.bytes()
    key: Any = serialization.load_pem_private_key(encrypted, None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(sa.ConfigError, match="without a password"):
        Tls(authority.folder / "certificate.pem", tmp_path / "key.pem").current()


# What is spoken


@pytest.mark.parametrize("protocol", ["http", "grpc", "flight"])
@pytest.mark.parametrize(
    ("version", "ciphers", "spoken"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", False),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", True),
        (
            ssl.TLSVersion.TLSv1_2,
            "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA:AES128-SHA",
            False,
        ),
        (ssl.TLSVersion.TLSv1_3, None, True),
    ],
)
def test_modern_tls_alone_is_spoken(
    mutual: Deployment,
    authority: Authority,
    *,
    protocol: str,
    version: Any,
    ciphers: str | None,
    spoken: bool,
) -> None:
    server = mutual.server("processor", protocol)
    context = client_context(authority.client("reader.example"))
    if ciphers:
        context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a version that must not be spoken
        context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection((server.address.host, server.address.port), timeout=10) as plain:
        if spoken:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
                assert secured.version() == version.name.replace("_", ".")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain, server_hostname="127.0.0.1").recv(1)


def test_a_version_that_is_asked_for_holds_on_http(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = Tls(tmp_path / "certificate.pem", tmp_path / "key.pem", min_version="1.3")
    assert tls.context().minimum_version is ssl.TLSVersion.TLSv1_3
    assert authority.stranger.certificate is None


def test_with_tls_browsers_are_told_to_stay_with_it(mutual: Deployment, authority: Authority) -> None:
    address = mutual.server("source", "http").address
    context = client_context(authority.client("reader.example"))
    with urllib3.PoolManager(ssl_context=context) as pool:
        headers = pool.request("GET", f"https://{address}/metrics").headers
    assert headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert headers["Cache-Control"] == "no-store"
