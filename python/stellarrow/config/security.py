"""How a server lets others in: what stands in section [security] for every service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import ADDRESS_RANGES, FILE, LIST, RATE, TEXT, TRUTH, choice, choices

METHODS = ("api_key",)
_ROLE = choice(("none", "admin", "reader", "processor"))


@dataclass(frozen=True, kw_only=True)
class Listening(Settings):
    """How a server lets others in."""

    tls_certificate: Path | None = setting(FILE, None, "TLS_CERTIFICATE", help="The server's, PEM.")
    tls_key: Path | None = setting(FILE, None, "TLS_KEY", help="The certificate's key, PEM.")
    tls_client_ca: Path | None = setting(FILE, None, "TLS_CLIENT_CA", help="Who signs callers', PEM.")
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
    cors_origins: tuple[str, ...] = setting(
        LIST, "", "CORS_ORIGINS", help="Web pages that may ask: https://host, or *."
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
