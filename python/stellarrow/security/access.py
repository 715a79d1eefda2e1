"""Who may come in where a server listens: TLS, authentication, addresses others can reach."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stellarrow.errors import ConfigError
from stellarrow.net.address import LOOPBACK, Address


class Authenticator(Protocol):
    """Tells who a caller is."""

    def __call__(self, headers: Mapping[str, str], /) -> str:
        """Return the caller's name; PermissionError where the headers, names in lower case, do not prove one.

        Headers are those of HTTP, the metadata of gRPC, or the call headers of Flight.
        """


@dataclass(frozen=True, slots=True)
class Tls:
    """A server's certificate and key (PEM files); with `client_ca`, callers must show one it has signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def pem(self) -> tuple[bytes, bytes, bytes | None]:
        """Return certificate, key and the callers' authority as bytes."""
        return _read(self.certificate), _read(self.key), _read(self.client_ca) if self.client_ca else None

    def context(self) -> ssl.SSLContext:
        """Return the settings for Python's own TLS: 1.2 or newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.pem()
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except ssl.SSLError as error:
            raise ConfigError(
                f"{self.certificate} and {self.key} make no TLS identity ({error.reason}): give a PEM"
                " certificate and the key that belongs to it"
            ) from error
        return context


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
        raise ConfigError(
            f"cannot listen on {address} ({error.strerror}): choose another address, or stop what is there"
        ) from error
    return taken


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name the PEM file") from error
