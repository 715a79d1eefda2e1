"""Clients in Go, Java and Python, and grpcurl, prove who they are over TLS in every way there is."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import RSAKey
from pyarrow import flight

from fakes.process import program
from processor.foreign import LANGUAGES, Client
from security.certificates import Authority
from security.deployment import Deployment, deployed
from stellarrow.net.address import Address
from stellarrow.security.api_keys import make_text

ISSUER, AUDIENCE = "https://issuer.example", "stellarrow"
READ, ACT = "ledgers", "action:any"  # what needs ReadLedgers, and what needs more where there is more
Environ = dict[str, str]


class Caller(Protocol):
    """A client: `refused` makes a call that needs ReadLedgers or WriteLedgers, and returns the status."""

    def reads(self, deployment: Deployment, environ: Environ) -> int: ...

    def refused(self, deployment: Deployment, environ: Environ, call: str) -> str: ...


class Program:
    """A program of tests/processor/clients."""

    def __init__(self, language: str, statuses: dict[str, str]) -> None:
        self._client = Client(next(one for one in LANGUAGES if one.name == language))
        self._statuses = statuses

    def reads(self, deployment: Deployment, environ: Environ) -> int:
        asked = {"table": "ledgers", "start_ledger": 100, "end_ledger": 104}
        return len(self._client(_flight(deployment), asked, environ=environ).rows)

    def refused(self, deployment: Deployment, environ: Environ, call: str) -> str:
        told = self._client.refused(_flight(deployment), call, environ=environ)
        return next((status for text, status in self._statuses.items() if text in told), told)


class Python:
    """pyarrow's client, given the same variables."""

    def reads(self, deployment: Deployment, environ: Environ) -> int:
        asked = b'{"table": "ledgers", "start_ledger": 100, "end_ledger": 104}'
        with self._connected(deployment, environ) as client:
            return int(
                client.do_get(flight.Ticket(asked), self._options(client, environ)).read_all().num_rows
            )

    def refused(self, deployment: Deployment, environ: Environ, call: str) -> str:
        with self._connected(deployment, environ) as client:
            try:
                options = self._options(client, environ)
                if call == ACT:
                    writer, _ = client.do_put(flight.FlightDescriptor.for_path("any"), pa.schema([]), options)
                    writer.close()
                else:
                    client.get_flight_info(flight.FlightDescriptor.for_path(call), options)
            except flight.FlightUnauthenticatedError:
                return "UNAUTHENTICATED"
            except flight.FlightUnauthorizedError:
                return "PERMISSION_DENIED"
        return "nothing was refused"

    def _connected(self, deployment: Deployment, environ: Environ) -> flight.FlightClient:
        own = {}
        if "CLIENT_CERTIFICATE" in environ:
            names = {"cert_chain": "CLIENT_CERTIFICATE", "private_key": "CLIENT_KEY"}
            own = {name: Path(environ[variable]).read_text() for name, variable in names.items()}
        ca = Path(environ["CLIENT_CA"]).read_bytes()
        return flight.connect(f"grpc+tls://{_flight(deployment)}", tls_root_certs=ca, **own)

    def _options(self, client: flight.FlightClient, environ: Environ) -> flight.FlightCallOptions:
        headers = []
        if token := environ.get("CLIENT_TOKEN"):
            headers.append((b"authorization", f"Bearer {token}".encode()))
        if password := environ.get("CLIENT_PASSWORD"):
            headers.append(client.authenticate_basic_token("key", password))
        return flight.FlightCallOptions(headers=headers, timeout=20)


class Grpcurl:
    """grpcurl: the control service, which it knows by reflection."""

    def reads(self, deployment: Deployment, environ: Environ) -> int:
        done = self._run(deployment, environ, "list")
        assert done.returncode == 0, done.stderr
        return len(done.stdout.split())

    def refused(self, deployment: Deployment, environ: Environ, call: str) -> str:
        proto = ["-import-path", f"{Path(__file__).parents[2]}/proto", "-proto", "control_service.proto"]
        method = f"contractdata.v1.ControlService/{'GetStatus' if call == READ else 'StopProcessing'}"
        done = self._run(deployment, environ, method, *proto)
        words = {"Unauthenticated": "UNAUTHENTICATED", "PermissionDenied": "PERMISSION_DENIED"}
        return next((status for text, status in words.items() if f"Code: {text}" in done.stderr), done.stderr)

    def _run(
        self, deployment: Deployment, environ: Environ, word: str, *options: str | Path
    ) -> subprocess.CompletedProcess[str]:
        words = ["-cacert", environ["CLIENT_CA"], *options]
        if "CLIENT_CERTIFICATE" in environ:
            words += ["-cert", environ["CLIENT_CERTIFICATE"], "-key", environ["CLIENT_KEY"]]
        if "CLIENT_TOKEN" in environ:
            words += ["-H", f"authorization: Bearer {environ['CLIENT_TOKEN']}"]
        address = str(deployment.server("processor", "grpc").address)
        return subprocess.run(
            [program("grpcurl"), *words, address, word],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


CALLERS: dict[str, Callable[[], Caller]] = {
    "python": Python,
    "grpcurl": Grpcurl,
    "go": lambda: Program(
        "go", {"code = Unauthenticated": "UNAUTHENTICATED", "code = PermissionDenied": "PERMISSION_DENIED"}
    ),
    "java": lambda: Program(
        "java", {"UNAUTHENTICATED:": "UNAUTHENTICATED", "UNAUTHORIZED:": "PERMISSION_DENIED"}
    ),
}


def _flight(deployment: Deployment) -> Address:
    return deployment.server("processor", "flight").address


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.slow] if name in ("go", "java") else []) for name in CALLERS
    ],
)
def caller(request: pytest.FixtureRequest) -> Caller:
    return CALLERS[request.param]()


@dataclass(frozen=True)
class World:
    """Services over TLS, one set of them mutual, and what callers show there."""

    tls: Deployment
    mutual: Deployment
    shown: dict[str, Environ]

    def where(self, proof: str) -> tuple[Deployment, Environ]:
        return (self.mutual if "certificate" in proof else self.tls), self.shown[proof]


@pytest.fixture(scope="module")
def world(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("foreign")
    authority = Authority(folder / "authority")
    key = RSAKey.generate_key(2048, parameters={"kid": "one"})
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    tokens = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_key_file": str(jwks)}
    roles = {"auth": "mtls,api_key", "mtls_roles": "reader.example=reader"}
    with (
        deployed(lake, folder / "a", {"auth": "api_key,jwt", **tokens, **authority.server_flags}) as tls,
        deployed(lake, folder / "b", {**roles, **authority.flags}) as mutual,
    ):
        yield World(tls, mutual, _shown(authority, tls, key))


def _shown(authority: Authority, tls: Deployment, key: RSAKey) -> dict[str, Environ]:
    _, reader = tls.store.create("reader", ["reader"], created_by="test")
    other = make_text()[1]
    forged = RSAKey.generate_key(2048, parameters={"kid": "one"})
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "me", "exp": int(time.time()) + 3_600}

    def token(roles: list[str], by: RSAKey) -> str:
        return jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, "roles": roles}, by)

    shown: dict[str, Environ] = {
        "nothing": {},
        "key": {"CLIENT_TOKEN": reader},
        "handshake": {"CLIENT_PASSWORD": reader},
        "token": {"CLIENT_TOKEN": token(["reader"], key)},
        "unknown key": {"CLIENT_TOKEN": other},
        "handshake with an unknown key": {"CLIENT_PASSWORD": other},
        "forged token": {"CLIENT_TOKEN": token(["admin"], forged)},
        "token without a role": {"CLIENT_TOKEN": token([], key)},
        "certificate": _certificate(authority, "reader.example"),
        "certificate without a role": _certificate(authority, "nobody.example"),
        "certificate and an unknown key": {
            **_certificate(authority, "reader.example"),
            "CLIENT_TOKEN": other,
        },
    }
    ca = {"CLIENT_CA": str(authority.folder / "ca.pem")}
    return {name: {**ca, **environ} for name, environ in shown.items()}


def _certificate(authority: Authority, name: str) -> Environ:
    shown = authority.client(name)
    certificate, key = authority.folder / f"{name}.pem", authority.folder / f"{name}.key"
    certificate.write_bytes(shown.certificate or b"")
    read = serialization.load_pem_private_key(shown.key or b"", None)
    # PKCS 8, the one form that Java takes
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(read.private_bytes(*form))
    return {"CLIENT_CERTIFICATE": str(certificate), "CLIENT_KEY": str(key)}


def _made(caller: Caller, world: World, proof: str) -> Any:
    if isinstance(caller, Grpcurl) and "handshake" in proof:
        pytest.skip("the handshake is Flight's alone")
    return world.where(proof)


@pytest.mark.parametrize("proof", ["key", "handshake", "token", "certificate"])
def test_a_client_reads_once_it_has_proven_who_it_is(caller: Caller, world: World, proof: str) -> None:
    assert caller.reads(*_made(caller, world, proof)) > 0


@pytest.mark.parametrize(
    "proof",
    [
        *("nothing", "unknown key", "handshake with an unknown key", "forged token"),
        "certificate and an unknown key",
    ],
)
def test_a_client_without_a_good_proof_is_refused_as_unauthenticated(
    caller: Caller, world: World, proof: str
) -> None:
    deployment, environ = _made(caller, world, proof)
    assert caller.refused(deployment, environ, READ) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "proof",
    ["key", "handshake", "token", "certificate", "token without a role", "certificate without a role"],
)
def test_a_client_whose_role_does_not_permit_the_call_is_refused_as_permission_denied(
    caller: Caller, world: World, proof: str
) -> None:
    if not isinstance(caller, Python | Grpcurl) and "without a role" not in proof:
        pytest.skip("a reader may make every call that this client makes")
    deployment, environ = _made(caller, world, proof)
    assert caller.refused(deployment, environ, ACT) == "PERMISSION_DENIED"
