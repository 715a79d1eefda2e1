"""TLS of our clients: whom they trust, and the certificate they show. Files are read at each connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stellarrow.errors import ConfigError
from stellarrow.storage.paths import given_bytes

if TYPE_CHECKING:
    import ssl

_PEM: Final = "name the file that has -----BEGIN lines"


@dataclass(frozen=True, slots=True)
class ClientTls:
    """A CA to trust instead of the system's, and a certificate with its key to show; PEM files."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("a client certificate needs its key, and a key its certificate: give both")

    @property
    def is_set(self) -> bool:
        return bool(self.ca or self.certificate)

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Return CA, certificate and key as bytes, as gRPC and Flight take them."""
        return _read(self.ca), _read(self.certificate), _read(self.key)

    def context(self) -> ssl.SSLContext:
        """Return the settings of Python's own TLS."""
        import ssl  # noqa: PLC0415  slow to load

        self.pem()
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except ssl.SSLError as error:
            raise ConfigError(f"{self.ca} holds no certificate that can be read: {_PEM}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            raise ConfigError(
                f"{self.certificate} and {self.key} make no TLS identity ({error.reason or 'no PEM'}): give"
                " a PEM certificate and the key that belongs to it"
            ) from error
        return context


NO_TLS: Final = ClientTls()


def _read(path: Path | None) -> bytes | None:
    try:
        held = given_bytes(path) if path else None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): {_PEM}") from error
    if held is not None and b"-----BEGIN " not in held:
        raise ConfigError(f"{path} is no PEM file: {_PEM}")
    return held
