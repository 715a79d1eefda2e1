"""Callers who show a client certificate that our authority has signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.security.permissions import permissions_of
from stellarrow.security.principal import Call, Principal

ANY: Final = "*"  # every certificate that the authority has signed


class MtlsAuthenticator:
    """Names a caller by the certificate's SAN, or by its common name, and gives it the roles of that name.

    A certificate without roles is known, and may do nothing that needs a permission.
    """

    kind = "mtls"

    def __init__(self, roles: Mapping[str, tuple[str, ...]]) -> None:
        self._roles = roles

    def __call__(self, call: Call, /) -> Principal | None:
        """Return whose certificate it is; None where there is none, or another credential is shown too."""
        if call.certificate is None or call.token:
            return None
        names = [name.partition(":")[2] for name in call.certificate.names]
        known = next((name for name in names if name in self._roles), None)
        roles = self._roles.get(known if known is not None else ANY, ())
        return Principal(
            known or (names[0] if names else "certificate without a name"),
            self.kind,
            roles,
            permissions_of(roles),
            call.certificate.expires_at,
        )

    def may_wait(self, _: Call, /) -> bool:
        return False


def read_roles(written: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read `NAME=role+role`, as `spiffe://org/etl=processor`; `*` is every name."""
    found: dict[str, tuple[str, ...]] = {}
    for one in written:
        name, equals, roles = one.rpartition("=")
        if not equals or not name.strip():
            raise ConfigError(f"mtls_roles has {one!r}: write NAME=role, as client.example=reader")
        given = tuple(role.strip() for role in roles.split("+"))
        permissions_of(given)
        found[name.strip()] = given
    return found
