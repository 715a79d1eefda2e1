"""What an API key is: how it is written, made and recognised."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
import time
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from stellarrow.errors import ConfigError

PREFIX: Final = "stlr_"
DEFAULT_DAYS: Final = 90
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WRITTEN: Final = re.compile(
    r"stlr_(?P<id>[0-9A-Za-z]{8})_(?P<secret>[0-9A-Za-z]{43})(?P<sum>[0-9A-Za-z]{6})"
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
_DESCRIPTION_LENGTH: Final = 200
_SPAN: Final = re.compile(r"(\d+)(s|m|h|d)", re.ASCII)
_DIGITS: Final = 6
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret of a key: the digest of its text, and when it ends; after a rotation there are two."""

    id: str
    digest: str = field(repr=False)
    created_at: float
    expires_at: float | None = None  # unix seconds, as all times here


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key by its name; the text that is shown to a server is kept nowhere."""

    key_id: str
    roles: tuple[str, ...]
    description: str = ""
    created_at: float
    created_by: str
    expires_at: float | None = None
    allowed_networks: tuple[str, ...] = ()
    last_used: str | None = None  # the day, as 2026-11-29
    revoked_at: float | None = None
    secrets: tuple[Secret, ...] = ()

    def state(self, now: float | None = None) -> str:
        """Return `active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        at = time.time() if now is None else now
        return "expired" if self.expires_at is not None and self.expires_at <= at else "active"

    def admits(self, address: str) -> bool:
        """Tell whether the key may be used from an IP address."""
        if not self.allowed_networks:
            return True
        try:
            caller = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = caller.ipv4_mapped if isinstance(caller, ipaddress.IPv6Address) else None
        networks = map(ipaddress.ip_network, self.allowed_networks)
        return any((mapped or caller) in network for network in networks)


def make_text() -> tuple[str, str]:
    """Return a new key's public id and its whole text."""
    public = "".join(secrets.choice(_LETTERS) for _ in range(8))
    body = f"{PREFIX}{public}_{_base62(secrets.randbits(256), 43)}"
    return public, body + _checksum(body)


def read_text(text: str) -> str | None:
    """Return the public id of a key's text; None where it is no key, or mistyped."""
    match = _WRITTEN.fullmatch(text)
    if not match or _checksum(text[:-6]) != match["sum"]:
        return None
    return match["id"]


def digest_of(text: str) -> str:
    """Return what is kept of a key's text: 256 random bits need no slow hash (ASVS 6.5.2)."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_name(key_id: str) -> str:
    if not _NAME.fullmatch(key_id):
        raise ConfigError(
            f"{key_id[:80]!r} is no name of a key: use 1 to 64 letters, digits, dots, hyphens or underscores"
        )
    return key_id


def check_description(text: str) -> str:
    if len(text) > _DESCRIPTION_LENGTH or not text.isprintable():
        raise ConfigError(f"a description is one line of at most {_DESCRIPTION_LENGTH} characters")
    return text


def check_networks(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Return address ranges in their plain form, such as 10.0.0.0/8."""
    try:
        return tuple(str(ipaddress.ip_network(one, strict=False)) for one in networks)
    except ValueError as error:
        raise ConfigError(f"{error}: write address ranges as 10.0.0.0/8 or fd00::/8") from error


def read_span(text: str, name: str) -> float:
    """Read how long something lasts, such as 30d; seconds."""
    match = _SPAN.fullmatch(text.strip())
    if not match:
        raise ConfigError(f"{name} is {text[:20]!r}: write it as 30m, 24h or 7d")
    if len(match[1]) > _DIGITS:
        raise ConfigError(f"{name} is {text[:20]!r}, which is too long: {_DIGITS} digits are the most")
    return int(match[1]) * _SECONDS[match[2]]


def to_dict(key: ApiKey) -> dict[str, Any]:
    """Return what may be known of a key."""
    now = time.time()
    return {
        "key_id": key.key_id,
        "roles": list(key.roles),
        "description": key.description,
        "state": key.state(now),
        "created_at": _moment(key.created_at),
        "created_by": key.created_by,
        "expires_at": _moment(key.expires_at),
        "allowed_networks": list(key.allowed_networks),
        "last_used": key.last_used,
        "revoked_at": _moment(key.revoked_at),
        "secrets": [
            {"id": one.id, "created_at": _moment(one.created_at), "expires_at": _moment(one.expires_at)}
            for one in key.secrets
            if one.expires_at is None or one.expires_at > now
        ],
    }


def _moment(unix: float | None) -> str | None:
    return None if unix is None else datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")


def to_document(key: ApiKey) -> dict[str, Any]:
    """Return a key as it is stored, without its name."""
    return {
        "roles": list(key.roles),
        "description": key.description,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "allowed_networks": list(key.allowed_networks),
        "last_used": key.last_used,
        "revoked_at": key.revoked_at,
        "secrets": [[one.id, one.digest, one.created_at, one.expires_at] for one in key.secrets],
    }


def of_document(key_id: str, document: dict[str, Any]) -> ApiKey:
    """Return a key that was stored."""
    return ApiKey(
        key_id=key_id,
        **{
            **document,
            "roles": tuple(document["roles"]),
            "allowed_networks": tuple(document["allowed_networks"]),
            "secrets": tuple(Secret(*one) for one in document["secrets"]),
        },
    )


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        digits.append(_LETTERS[rest])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), 6)
