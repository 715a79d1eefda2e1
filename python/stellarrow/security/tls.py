"""TLS of our listeners: certificate, key, CA, read again when they change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from stellarrow.errors import ConfigError


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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name the PEM file") from error
