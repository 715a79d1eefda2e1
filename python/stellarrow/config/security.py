"""How a server lets others in: what stands in section [security] for every service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import (
    ADDRESS_RANGES,
    DURATION,
    FILE,
    LIST,
    RATE,
    TEXT,
    TRUTH,
    URL,
    choice,
    choices,
)

METHODS = ("api_key", "jwt", "mtls")
ALGORITHMS = ("rs256", "es256", "eddsa", "hs256")
_ROLE = choice(("none", "admin", "reader", "processor"))


@dataclass(frozen=True, kw_only=True)
class Listening(Settings):
    """How a server lets others in."""

    tls_certificate: Path | None = setting(FILE, None, "TLS_CERTIFICATE", help="The server's, PEM.")
    tls_key: Path | None = setting(FILE, None, "TLS_KEY", help="The certificate's key, PEM.")
    tls_client_ca: Path | None = setting(FILE, None, "TLS_CLIENT_CA", help="Who signs callers', PEM.")
    tls_min_version: str = setting(
        choice(("1.2", "1.3")), "1.2", "TLS_MIN_VERSION", help="Of HTTP; gRPC and Flight take 1.2 and 1.3."
    )
    insecure: bool = setting(TRUTH, "false", "INSECURE", help="Be open to others, without a key.")
    auth: tuple[str, ...] = setting(
        choices(METHODS), "", "AUTH", help="How callers prove who they are; any of them lets in."
    )
    authz: bool = setting(TRUTH, "true", "AUTHZ", help="Ask for permissions; false: who is known may do all.")
    anonymous_role: str = setting(
        _ROLE, "none", "ANONYMOUS_ROLE", help="What callers without a credential may do."
    )
    bootstrap_admin_key_file: Path | None = setting(
        FILE,
        None,
        "BOOTSTRAP_ADMIN_KEY_FILE",
        help="The first admin key; written where there is no file.",
    )
    jwt_issuer: str | None = setting(URL, None, "JWT_ISSUER", help="Whose tokens are good: its URL, exactly.")
    jwt_audience: str | None = setting(TEXT, None, "JWT_AUDIENCE", help="For whom a token must be made.")
    jwt_jwks_url: str | None = setting(
        URL, None, "JWT_JWKS_URL", help="Its keys; by default where its discovery document says."
    )
    jwt_key_file: Path | None = setting(
        FILE, None, "JWT_KEY_FILE", help="Instead of a URL: PEM, JWKS, or the secret of HS256."
    )
    jwt_algorithms: tuple[str, ...] = setting(
        choices(ALGORITHMS), "rs256,es256,eddsa", "JWT_ALGORITHMS", help="HS256 with a key file alone."
    )
    jwt_roles_claim: str = setting(
        TEXT, "roles", "JWT_ROLES_CLAIM", help="The claim with the roles, as realm_access.roles."
    )
    jwt_leeway: float = setting(DURATION, "30s", "JWT_LEEWAY", help="How far clocks may differ.")
    mtls_roles: tuple[str, ...] = setting(
        LIST, "", "MTLS_ROLES", help="Of certificates, by SAN or common name: NAME=role+role, *=reader."
    )
    cors_origins: tuple[str, ...] = setting(
        LIST, "", "CORS_ORIGINS", help="Web pages that may ask: https://host, or *."
    )
    allowed_hosts: tuple[str, ...] = setting(
        LIST,
        "",
        "ALLOWED_HOSTS",
        help="Names that callers without AUTH may call this server by, also *.svc, or *.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        ADDRESS_RANGES, "", "TRUSTED_PROXIES", help="Whose X-Forwarded-For counts, as 10.0.0.0/8."
    )
    rate_limit: str | None = setting(
        RATE, None, "RATE_LIMIT", help="Calls of a known caller: 100/s, 600/m or 5000/h."
    )
    rate_limit_anonymous: str | None = setting(
        RATE, None, "RATE_LIMIT_ANONYMOUS", help="Calls without a credential, by address."
    )
    audit_log: str | None = setting(
        TEXT, None, "AUDIT_LOG", help="A file, - or off; with AUTH, audit.jsonl in the state folder."
    )
