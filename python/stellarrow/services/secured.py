"""What the settings say of security, made: TLS, who may come in, the keys, the audit log."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from stellarrow.config import Listening
from stellarrow.errors import ConfigError
from stellarrow.security.access import Access, Authenticator, Policy
from stellarrow.security.api_keys import make_text
from stellarrow.security.audit_log import Audit, AuditLog, NoAudit
from stellarrow.security.core_files import leave_no_core_file
from stellarrow.security.key_authenticator import KeyAuthenticator
from stellarrow.security.key_store import FILE, KeyStore
from stellarrow.security.limits import Rate
from stellarrow.security.mtls import MtlsAuthenticator, read_roles
from stellarrow.security.open_files import allow_many_files
from stellarrow.security.proxies import TrustedProxies
from stellarrow.security.tls import Tls
from stellarrow.storage.paths import given_text
from stellarrow.storage.private import keep_private, private_file, private_folder, warn_of_open_files
from stellarrow.telemetry.metrics import Metrics

BOOTSTRAP: Final = "bootstrap-admin"
_AUDIT: Final = "audit.jsonl"
_OFF: Final = "off"
_log: Final = logging.getLogger(__name__)


class Secured:
    """How one service lets callers in; close() lets go of its files."""

    def __init__(self, settings: Listening, state_dir: Path, metrics: Metrics) -> None:
        self.tls = tls_of(settings, self._reloaded)
        self.insecure = settings.insecure
        self._state_dir = state_dir
        self._cors_origins = settings.cors_origins
        self._allowed_hosts = settings.allowed_hosts
        self.keys: KeyStore | None = None
        self.access: Access | None = None
        self.audit: Audit | None = None
        warn_of_open_files(
            filter(None, (settings.tls_key, settings.jwt_key_file, settings.bootstrap_admin_key_file))
        )
        allow_many_files()
        if settings.auth or settings.holds_secret:
            leave_no_core_file()
        with ExitStack() as stack:
            authenticators: list[Authenticator] = []
            if "api_key" in settings.auth:
                keep_private(state_dir, ())
                self.keys = KeyStore(state_dir / FILE)
                stack.callback(self.keys.close)
                bootstrap(self.keys, settings.bootstrap_admin_key_file)
                authenticators.append(KeyAuthenticator(self.keys, metrics))
            if "jwt" in settings.auth:
                authenticators.append(_tokens(settings))
            if "mtls" in settings.auth:
                if self.tls is None or self.tls.client_ca is None:
                    raise ConfigError("auth has mtls: name who signs callers' certificates, tls_client_ca")
                authenticators.append(MtlsAuthenticator(read_roles(settings.mtls_roles)))
            if settings.auth:
                audit = self.audit = open_audit(settings, state_dir)
                stack.callback(audit.close)
                self.access = Access(authenticators, policy=_policy(settings), audit=audit, metrics=metrics)
            elif settings.anonymous_role != "none":
                raise ConfigError("anonymous_role is set and auth is not: name how others prove who they are")
            self._held = stack.pop_all()

    @property
    def http_doors(self) -> dict[str, Any]:
        """What every HTTP server is made with."""
        named = {"cors_origins": self._cors_origins, "allowed_hosts": self._allowed_hosts}
        return {**self.doors, **named, "keys": self.keys, "state_dir": self._state_dir}

    @property
    def doors(self) -> dict[str, Any]:
        """What every server is made with."""
        return {"tls": self.tls, "access": self.access, "insecure": self.insecure}

    def _reloaded(self, trouble: str) -> None:
        if self.access:
            self.access.note("settings reloaded", target="TLS", result=trouble or "ok")

    def close(self) -> None:
        self._held.close()


def _policy(settings: Listening) -> Policy:
    role, rate, strangers = settings.anonymous_role, settings.rate_limit, settings.rate_limit_anonymous
    return Policy(
        authorize=settings.authz,
        anonymous_role=None if role == "none" else role,
        rate=Rate.parse(rate) if rate else None,
        anonymous_rate=Rate.parse(strangers) if strangers else None,
        proxies=TrustedProxies(settings.trusted_proxies),
    )


def _tokens(settings: Listening) -> Authenticator:
    from stellarrow.security.jwt import JwtAuthenticator, TokenPolicy  # noqa: PLC0415  few use it
    from stellarrow.security.key_sources import FileKeys, IssuerKeys, KeySource  # noqa: PLC0415  an extra

    if not settings.jwt_issuer or not settings.jwt_audience:
        raise ConfigError("auth has jwt: name jwt_issuer and jwt_audience, or anybody's tokens would do")
    names = {name.lower(): name for name in ("RS256", "ES256", "EdDSA", "HS256")}
    algorithms = tuple(names[one] for one in settings.jwt_algorithms)
    is_symmetric = "HS256" in algorithms
    if is_symmetric and (len(algorithms) > 1 or not settings.jwt_key_file or settings.jwt_jwks_url):
        raise ConfigError("HS256 goes with jwt_key_file, and with no other algorithm: leave the others out")
    keys: KeySource = (
        FileKeys(settings.jwt_key_file, symmetric=is_symmetric)
        if settings.jwt_key_file
        else IssuerKeys(settings.jwt_issuer, settings.jwt_jwks_url)
    )
    policy = TokenPolicy(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithms=algorithms,
        roles_claim=settings.jwt_roles_claim,
        leeway=settings.jwt_leeway,
    )
    return JwtAuthenticator(keys, policy)


def bootstrap(store: KeyStore, path: Path | None) -> None:
    """Take the first admin key from a file, or write a new one there; a key that was revoked stays so."""
    if path is None or any(key.key_id == BOOTSTRAP for key in store.entries()):
        return
    choices: dict[str, Any] = {"created_by": str(path), "description": "the first administrator's"}
    try:
        if path.exists() and (text := given_text(path).strip()):
            store.create(BOOTSTRAP, ["admin"], text=text, **choices)
            return
        private_folder(path.parent)
        _, text = make_text()
        with private_file(path, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        store.create(BOOTSTRAP, ["admin"], text=text, **choices)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be used for the first admin key ({error}): name a file") from error
    _log.info("wrote the first admin key to %s", path)


def open_audit(settings: Listening, state_dir: Path) -> Audit:
    """Open the audit log that the settings name."""
    named = settings.audit_log or str(state_dir / _AUDIT)
    return NoAudit() if named.lower() == _OFF else AuditLog(named)


def tls_of(settings: Listening, reloaded: Callable[[str], None] | None = None) -> Tls | None:
    """Return what a service's settings say of TLS."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate and key:
        version = settings.tls_min_version
        return Tls(certificate, key, settings.tls_client_ca, min_version=version, reloaded=reloaded)
    if certificate or key or settings.tls_client_ca:
        raise ConfigError("TLS needs both a certificate and its key: give --tls-certificate and --tls-key")
    return None
