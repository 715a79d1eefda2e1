"""Tokens: those of a real OIDC provider let in, and every way to forge one is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

import stellarrow as sa
from fakes.oidc_provider import OidcProvider
from security.deployment import Deployment, Shown, deployed
from security.test_matrix import every, expected
from stellarrow.config import Processor, read
from stellarrow.security.jwt import JwtAuthenticator, TokenPolicy
from stellarrow.security.key_sources import FileKeys, IssuerKeys
from stellarrow.security.permissions import ROLES, RULES, Asked
from stellarrow.security.principal import Call, Principal
from stellarrow.services.secured import Secured
from stellarrow.telemetry.metrics import Metrics

ISSUER, AUDIENCE = "https://issuer.example", "stellarrow"
POLICY = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=("RS256", "ES256", "EdDSA"))
Make = Callable[..., str]


def bearer(token: str) -> Shown:
    return Shown({"authorization": f"Bearer {token}"})


def who(authenticator: JwtAuthenticator, token: str) -> Principal | None:
    return authenticator(Call("GET /metrics", {"authorization": f"Bearer {token}"}))


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})


@pytest.fixture
def file(key: RSAKey, tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    return path


@pytest.fixture
def authenticator(file: Path) -> JwtAuthenticator:
    return JwtAuthenticator(FileKeys(file, symmetric=False), POLICY)


def claims(**given: Any) -> dict[str, Any]:
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "me", "exp": int(time.time()) + 60, "roles": ["reader"]}
    return {name: value for name, value in {**told, **given}.items() if value is not None}


def signed(key: Any, *, header: dict[str, Any] | None = None, **given: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one", **(header or {})}, claims(**given), key)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# A real provider


@pytest.fixture(scope="module")
def with_tokens(
    lake: Path, oidc: OidcProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    flags = {"auth": "jwt", "jwt_issuer": oidc.issuer, "jwt_audience": AUDIENCE}
    with deployed(lake, tmp_path_factory.mktemp("jwt") / "state", flags) as made:
        yield made


@pytest.mark.parametrize("role", [*sorted(ROLES), "nobody"])
def test_a_token_of_a_real_provider_permits_what_its_roles_do(
    with_tokens: Deployment, oidc: OidcProvider, role: str
) -> None:
    shown = bearer(oidc.token(role))
    wrong = []
    for server, call in every(with_tokens):
        need = RULES[call].need
        due = expected(call, role) if role in ROLES else "ok" if isinstance(need, Asked) else "denied"
        if role == "nobody" and call == "GET /health":
            due = "status alone"
        if role == "nobody" and call == "WEBSOCKET /v1/ws":
            due = "denied"  # it connects, and subscribes to nothing
        if (outcome := server.outcome(call, shown)) != due:
            wrong.append((server.service, call, outcome))
    assert wrong == []


@pytest.mark.parametrize("state", ["for others", "altered", "expired", "unsigned", "of another issuer"])
def test_a_token_that_is_not_good_makes_the_open_calls_alone(
    with_tokens: Deployment, oidc: OidcProvider, key: RSAKey, state: str
) -> None:
    good = oidc.token("admin")
    head, body, signature = good.split(".")
    token = {
        "for others": lambda: oidc.token("admin", resource="urn:other"),
        "altered": lambda: f"{head}.{part(claims(iss=oidc.issuer, roles=['admin']))}.{signature}",
        "expired": lambda: signed(key, iss=oidc.issuer, exp=int(time.time()) - 60),
        "unsigned": lambda: f"{part({'alg': 'none'})}.{body}.",
        "of another issuer": lambda: signed(key),
    }[state]()
    wrong = [
        (server.service, call, outcome)
        for server, call in every(with_tokens)
        if (outcome := server.outcome(call, bearer(token))) != expected(call, None)
    ]
    assert wrong == []


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_every_algorithm_of_the_list_is_verified(oidc: OidcProvider, algorithm: str) -> None:
    policy = TokenPolicy(issuer=oidc.issuer, audience=AUDIENCE, algorithms=(algorithm,))
    authenticator = JwtAuthenticator(IssuerKeys(oidc.issuer), policy)
    principal = who(authenticator, oidc.token("reader", algorithm))
    assert principal
    assert (principal.name, principal.roles) == (f"reader-{algorithm}", ("reader",))
    other = "ES256" if algorithm != "ES256" else "RS256"
    with pytest.raises(sa.Unauthenticated):
        who(authenticator, oidc.token("reader", other))


def test_rotated_keys_are_found_and_unknown_ones_are_asked_for_once_a_minute(
    oidc_alone: OidcProvider, key: RSAKey
) -> None:
    oidc = oidc_alone
    now = [0.0]
    keys = IssuerKeys(oidc.issuer, clock=lambda: now[0])
    policy = TokenPolicy(issuer=oidc.issuer, audience=AUDIENCE, algorithms=("RS256",))
    authenticator = JwtAuthenticator(keys, policy)
    before = oidc.asked
    old = oidc.token("reader")
    principal = who(authenticator, old)
    assert principal
    assert who(authenticator, old) == principal
    assert oidc.asked == before + 1
    oidc.rotate()
    for _ in range(50):
        with pytest.raises(sa.Unauthenticated, match="does not publish"):
            who(authenticator, signed(key, iss=oidc.issuer, header={"kid": "unknown"}))
    assert oidc.asked == before + 1
    now[0] += 61
    assert who(authenticator, oidc.token("reader"))
    assert oidc.asked == before + 2
    # The key that was withdrawn ends what it had let in.
    assert not principal.is_valid()
    with pytest.raises(sa.Unauthenticated):
        who(authenticator, old)
    assert oidc.asked == before + 2


def test_an_issuer_that_is_away_is_told_as_unavailable_and_old_keys_stay_good(oidc: OidcProvider) -> None:
    gone = IssuerKeys("http://127.0.0.1:9")
    with pytest.raises(sa.SourceUnavailable):
        gone.key("x")
    now = [0.0]
    keys = IssuerKeys(oidc.issuer, clock=lambda: now[0])
    policy = TokenPolicy(issuer=oidc.issuer, audience=AUDIENCE, algorithms=("RS256",))
    authenticator = JwtAuthenticator(keys, policy)
    token = oidc.token("reader")
    assert who(authenticator, token)
    keys._issuer = "http://127.0.0.1:9"
    now[0] += 10_000
    assert who(JwtAuthenticator(keys, policy), token)


def test_a_discovery_document_of_another_issuer_is_not_believed(oidc: OidcProvider) -> None:
    with pytest.raises(sa.SourceUnavailable):
        IssuerKeys(f"{oidc.issuer}/").key("x")


# Forged ones


def test_a_good_token_lets_in_until_it_expires(authenticator: JwtAuthenticator, key: RSAKey) -> None:
    end = int(time.time()) + 60
    principal = who(authenticator, signed(key, exp=end, roles=["reader", "root", 7]))
    assert principal
    assert (principal.name, principal.kind, principal.roles) == ("me", "jwt", ("reader",))
    assert principal.expires_at == end + 30


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        ({"roles": "reader processor"}, ("reader", "processor")),
        ({"roles": {"a": 1}}, ()),
        ({"roles": None}, ()),
        ({"roles": ["admin "]}, ()),
    ],
)
def test_roles_are_read_from_a_list_or_a_text_and_from_nothing_else(
    authenticator: JwtAuthenticator, key: RSAKey, given: Any, roles: Any
) -> None:
    principal = who(authenticator, signed(key, **given))
    assert principal
    assert principal.roles == roles


def test_roles_may_lie_inside_of_another_claim(file: Path, key: RSAKey) -> None:
    policy = TokenPolicy(
        issuer=ISSUER, audience=AUDIENCE, algorithms=("RS256",), roles_claim="realm_access.roles"
    )
    token = signed(key, realm_access={"roles": ["admin"]})
    principal = who(JwtAuthenticator(FileKeys(file, symmetric=False), policy), token)
    assert principal
    assert principal.roles == ("admin",)


@pytest.mark.parametrize(
    "given",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"nbf": int(time.time()) + 3_600},
        {"iat": int(time.time()) + 3_600},
        {"iss": "https://issuer.example/"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "other"},
        {"aud": []},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"padding": "x" * 9_000},
    ],
    ids=str,
)
def test_claims_that_do_not_hold_are_refused(
    authenticator: JwtAuthenticator, key: RSAKey, given: dict[str, Any]
) -> None:
    with pytest.raises(sa.Unauthenticated):
        who(authenticator, signed(key, **given))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"kid": "two"},
        {"crit": ["b64"], "b64": False},
        {"crit": ["x"], "x": 1},
    ],
    ids=str,
)
def test_headers_that_mean_something_else_are_refused(
    authenticator: JwtAuthenticator, key: RSAKey, header: dict[str, Any]
) -> None:
    head, body = part({"alg": "RS256", "kid": "one", **header}), part(claims())
    assert key.private_key
    raw = key.private_key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    signature = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(sa.Unauthenticated):
        who(authenticator, f"{head}.{body}.{signature}")


def test_no_signature_and_another_ones_key_are_refused(authenticator: JwtAuthenticator, key: RSAKey) -> None:
    body = part(claims(roles=["admin"]))
    other = RSAKey.generate_key(2048, parameters={"kid": "one"})
    own = {
        "jwk": other.as_dict(private=False),
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example",
    }
    forged = [
        *(f"{part({'alg': alg, 'kid': 'one'})}.{body}." for alg in ("none", "None", "NONE", "", None, 7)),
        f"{part({'kid': 'one'})}.{body}.",
        signed(other),
        f"{part({'alg': 'RS256', 'kid': 'one', **own})}.{body}.{signed(other).rpartition('.')[2]}",
        ".".join([*signed(key).split(".")[:2], "AAAA"]),
        f"{part([1])}.{body}.x",
        f"{part({'alg': 'RS256', 'kid': ['one']})}.{body}.x",
        "a.b.c",
        "..",
        f"{signed(key)}.x.y",
    ]
    for token in forged:
        with pytest.raises(sa.Unauthenticated):
            who(authenticator, token)


def test_a_public_key_is_no_secret(authenticator: JwtAuthenticator, key: RSAKey) -> None:
    head, body = part({"alg": "HS256", "kid": "one"}), part(claims(roles=["admin"]))
    for secret in (key.as_pem(private=False), json.dumps(key.as_dict(private=False)).encode()):
        made = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        token = f"{head}.{body}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"
        with pytest.raises(sa.Unauthenticated):
            who(authenticator, token)


def test_a_secret_verifies_hs256_alone(tmp_path: Path, key: RSAKey) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"s" * 32 + b"\n")
    policy = TokenPolicy(issuer=ISSUER, audience=AUDIENCE, algorithms=("HS256",))
    authenticator = JwtAuthenticator(FileKeys(path, symmetric=True), policy)
    good = jwt.encode({"alg": "HS256"}, claims(), OctKey.import_key("s" * 32))
    assert who(authenticator, good)
    with pytest.raises(sa.Unauthenticated):
        who(authenticator, signed(key))
    path.write_bytes(b"short")
    with pytest.raises(sa.ConfigError, match="fewer than 32 bytes"):
        FileKeys(path, symmetric=True)


@pytest.mark.parametrize(
    ("made", "algorithm"),
    [
        (lambda: RSAKey.generate_key(2048), "RS256"),
        (lambda: ECKey.generate_key("P-256"), "ES256"),
        (lambda: OKPKey.generate_key("Ed25519"), "EdDSA"),
    ],
    ids=["RSA", "EC", "Ed25519"],
)
def test_keys_are_read_from_pem_and_again_when_the_file_changes(
    tmp_path: Path, made: Any, algorithm: str
) -> None:
    path = tmp_path / "key.pem"
    first, second = made(), made()
    path.write_bytes(first.as_pem(private=False))
    keys = FileKeys(path, symmetric=False)
    authenticator = JwtAuthenticator(keys, POLICY)
    old = jwt.encode({"alg": algorithm}, claims(), first, algorithms=[algorithm])
    new = jwt.encode({"alg": algorithm}, claims(), second, algorithms=[algorithm])
    assert who(authenticator, old)
    with pytest.raises(sa.Unauthenticated):
        who(authenticator, new)
    path.write_bytes(second.as_pem(private=False) + b"\n")
    keys._looked_at = 0.0
    assert who(authenticator, new)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"auth": "jwt"}, "name jwt_issuer and jwt_audience"),
        ({"auth": "jwt", "jwt_issuer": ISSUER}, "name jwt_issuer and jwt_audience"),
        ({"auth": "jwt", "jwt_issuer": "http://issuer.example", "jwt_audience": "x"}, "it must be https://"),
        (
            {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": "x", "jwt_algorithms": "hs256"},
            "HS256 goes with jwt_key_file",
        ),
        (
            {"auth": "jwt", "jwt_issuer": ISSUER, "jwt_audience": "x", "jwt_key_file": "/nothing"},
            "holds no key for tokens",
        ),
        ({"auth": "mtls"}, "name who signs callers' certificates"),
        ({"anonymous_role": "reader"}, "anonymous_role is set and auth is not"),
    ],
)
def test_settings_that_would_let_anybody_in_are_refused(
    tmp_path: Path, flags: dict[str, str], told: str
) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        Secured(read(Processor, flags, environ={}), tmp_path, Metrics())


def test_a_file_without_an_end_holds_no_key() -> None:
    with pytest.raises(sa.ConfigError, match="File too large"):
        FileKeys(Path("/dev/zero"), symmetric=True)
