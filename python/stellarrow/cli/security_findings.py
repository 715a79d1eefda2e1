"""What doctor looks at for security: listeners, certificates, keys, files, and who may come in."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from stellarrow.cli.diagnostics import Finding
from stellarrow.cli.output import formatting
from stellarrow.config import SERVICES, Listening, read
from stellarrow.config.settings import settings_of
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.extras import lacking
from stellarrow.net.address import Address
from stellarrow.security.key_store import FILE, KeyStore

_SUBJECT: Final = "security"
_SOON: Final = 14 * 86_400.0  # seconds before an end that somebody should know of it
_RSA_BITS: Final = 2_048


def security(file: Path | None) -> Iterator[Finding]:
    """Look at each service that listens, as its settings say."""
    found: list[Finding] = []
    for name, service in SERVICES.items():
        if issubclass(service, Listening):
            try:
                found += _service(name, read(service, file=file))
            except ConfigError:
                continue  # wrong settings are told elsewhere
    found += _settings_file(file)
    unique = list(dict.fromkeys(found))
    yield from unique or [Finding(_SUBJECT, "ok", "no listener is open to strangers, and no file to others")]


def _service(name: str, settings: Listening) -> Iterator[Finding]:
    yield from _listeners(name, settings)
    yield from _roles(name, settings)
    for path in filter(None, (settings.tls_certificate, settings.tls_client_ca)):
        yield from _certificate(path)
    for secret in filter(None, (settings.tls_key, settings.jwt_key_file, settings.bootstrap_admin_key_file)):
        yield from _private(secret)
    state_dir: Path = vars(settings)["state_dir"]
    yield from _private(state_dir)
    if "api_key" in settings.auth:
        yield from _keys(state_dir)


def _listeners(name: str, settings: Listening) -> Iterator[Finding]:
    addresses = {one.name: getattr(settings, one.name) for one in fields(settings)}
    endpoints = ("source_endpoint", "flight_endpoint", "flowctl_endpoint")
    for key, address in addresses.items():
        if not isinstance(address, Address) or key in endpoints or address.is_loopback:
            continue
        where = f"{key} of {name} ({address}) can be reached from outside"
        if not settings.tls_certificate:
            remedy = "set tls_certificate and tls_key"
            state: Any = "warning" if settings.insecure else "broken"
            yield Finding(_SUBJECT, state, f"{where}, without TLS: {remedy}")
        if not settings.auth and not settings.tls_client_ca:
            state = "warning" if settings.insecure else "broken"
            yield Finding(_SUBJECT, state, f"{where}, and anybody may come in: set auth")
        if not settings.auth and settings.tls_client_ca:
            message = (
                f"{where}, and every certificate of {settings.tls_client_ca} may do all: set auth = mtls"
            )
            yield Finding(_SUBJECT, "warning", message)


def _roles(name: str, settings: Listening) -> Iterator[Finding]:
    if settings.auth and settings.anonymous_role != "none":
        state: Any = "warning" if settings.anonymous_role == "reader" else "broken"
        message = f"whoever shows nothing is {settings.anonymous_role} of {name}: set anonymous_role = none"
        yield Finding(_SUBJECT, state, message)
    if settings.auth and not settings.authz:
        message = f"whoever is known may do all at {name}, keys included: set authz = true"
        yield Finding(_SUBJECT, "warning", message)
    if settings.tls_certificate and settings.tls_min_version == "1.3":
        message = "tls_min_version = 1.3 holds for HTTP alone: gRPC and Flight take 1.2, too"
        yield Finding(_SUBJECT, "warning", message)


def _certificate(path: Path) -> Iterator[Finding]:
    if lacking("servers"):
        return
    from cryptography import x509  # noqa: PLC0415  an extra
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415  an extra

    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError) as error:
        yield Finding(_SUBJECT, "broken", f"{path} is no certificate ({error}): name a PEM file")
        return
    left = (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()
    if left <= 0:
        yield Finding(
            _SUBJECT, "broken", f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: renew it"
        )
    elif left < _SOON:
        yield Finding(_SUBJECT, "warning", f"{path} expires in {formatting.seconds(left)}: renew it")
    key = certificate.public_key()
    digest = certificate.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        yield Finding(_SUBJECT, "broken", f"{path} has a key of {key.key_size} bits: make one of {_RSA_BITS}")
    if digest is not None and digest.name in ("md5", "sha1"):
        yield Finding(_SUBJECT, "broken", f"{path} is signed with {digest.name}: have it signed with SHA-256")


def _private(path: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # what is not there is told where it is needed
    if mode & 0o077:
        better = "700" if path.is_dir() else "600"
        yield Finding(_SUBJECT, "warning", f"others may use {path} ({mode:o}): chmod {better} {path}")


def _keys(state_dir: Path) -> Iterator[Finding]:
    path = state_dir / FILE
    if not path.exists():
        yield Finding(_SUBJECT, "warning", "auth has api_key, and there is no key: stellarrow keys create")
        return
    yield from _private(path)
    try:
        with closing(KeyStore(path)) as store:
            held, damaged = store.entries(), store.damaged
    except StellarrowError as error:
        yield Finding(_SUBJECT, "broken", str(error))
        return
    now = time.time()
    active = [key for key in held if key.state(now) == "active"]
    for key in active:
        if key.expires_at is None:
            message = f"the API key {key.key_id} never expires: replace it by one that does"
            yield Finding(_SUBJECT, "warning", message)
        elif key.expires_at - now < _SOON:
            left = formatting.seconds(key.expires_at - now)
            yield Finding(_SUBJECT, "warning", f"the API key {key.key_id} expires in {left}: rotate it")
    for name in damaged:
        yield Finding(_SUBJECT, "broken", f"the API key {name} is damaged and admits nobody: make it again")
    if not any("admin" in key.roles for key in active):
        yield Finding(
            _SUBJECT, "warning", "there is no administrator's key: stellarrow keys create … --role admin"
        )


def _settings_file(file: Path | None) -> Iterator[Finding]:
    """Look whether others may read a settings file that holds a secret."""
    if file is None:
        return
    for service in SERVICES.values():
        try:
            settings = read(service, file=file, environ={})
        except ConfigError:
            continue
        known = settings_of(service)
        if any(known[name].kind.is_secret for name in settings.origins):
            yield from _private(file)
            return
