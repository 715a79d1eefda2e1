"""Who calls, and how it was proven."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from stellarrow.errors import Unauthenticated
from stellarrow.security.permissions import Permission

_ONCE: Final = ("authorization", "x-api-key")  # two of them are an attempt to be two callers


class CredentialExpired(Unauthenticated):
    """A credential was good, and is too old."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a verified client certificate says: its names, those of the SAN as `SAN:…` first, then `CN:…`."""

    names: tuple[str, ...]
    expires_at: float | None = None  # unix seconds


@dataclass(frozen=True)
class Call:
    """One call as a transport sees it; header names are in lower case, the address is an IP address."""

    name: str
    headers: Mapping[str, str] = field(repr=False)
    address: str = ""
    certificate: Certificate | None = None

    @cached_property
    def token(self) -> str:
        """What is shown as `Authorization: Bearer` or `X-API-Key`; empty where nothing is."""
        scheme, _, given = self.headers.get("authorization", "").strip().partition(" ")
        key = self.headers.get("x-api-key", "").strip()
        if scheme and scheme.lower() != "bearer":
            raise Unauthenticated("the header authorization must be 'Bearer' and an API key or a token")
        token = given.strip()
        if scheme and not token:
            raise Unauthenticated("the header authorization has no token after 'Bearer'")
        if token and key and token != key:
            raise Unauthenticated("two different credentials are shown: send one of them")
        return token or key


def headers_of(pairs: Mapping[str, list[str]]) -> dict[str, str]:
    """Return headers by name, the last of each; two credentials in one call are refused."""
    forwarded = pairs.get("x-forwarded-for")
    for name in _ONCE:
        if len(set(pairs.get(name, ()))) > 1:
            raise Unauthenticated(f"the header {name} is sent twice: send one")
    found = {name: values[-1] for name, values in pairs.items() if values}
    return found | {"x-forwarded-for": ",".join(forwarded)} if forwarded else found


def _forever() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a call; `kind` is how it was proven, `still_valid` tells whether that holds now."""

    name: str
    kind: str = "anonymous"
    roles: tuple[str, ...] = ()
    permissions: frozenset[Permission] = frozenset()
    expires_at: float | None = None  # unix seconds
    still_valid: Callable[[], bool] = field(default=_forever, repr=False, compare=False)

    def can(self, permission: Permission) -> bool:
        return permission in self.permissions

    def is_valid(self) -> bool:
        """Tell whether the credential is neither expired nor revoked."""
        return (self.expires_at is None or time.time() < self.expires_at) and self.still_valid()


NOBODY: Final = Principal("anonymous")
EVERYBODY: Final = Principal("anonymous", permissions=frozenset(Permission))  # where nothing is protected
