"""Who may come in where a server listens: TLS, authentication, addresses others can reach."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

from stellarrow.errors import ConfigError
from stellarrow.net.address import LOOPBACK, Address, CannotListen
from stellarrow.security.tls import Tls


class Authenticator(Protocol):
    """Tells who a caller is."""

    def __call__(self, headers: Mapping[str, str], /) -> str:
        """Return the caller's name; PermissionError where the headers, names in lower case, do not prove one.

        Headers are those of HTTP, the metadata of gRPC, or the call headers of Flight.
        """


def guarded(
    address: Address, *, tls: Tls | None, authenticator: Authenticator | None, insecure: bool
) -> Address:
    """Return the address, or refuse one that others can reach while anybody may come in."""
    proven = tls is not None and (tls.client_ca is not None or authenticator is not None)
    if address.is_loopback or proven or insecure:
        return address
    raise ConfigError(
        f"{address} can be reached from outside, and nothing would keep anybody out: listen on {LOOPBACK},"
        " set up TLS and authentication, or say --insecure where the network itself is closed"
    )


def bound(address: Address) -> socket.socket:
    """Return a socket bound to the address, not yet listening."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((address.host, address.port))
    except OSError as error:
        taken.close()
        raise CannotListen(f"cannot listen on {address} ({error.strerror})") from error
    return taken
