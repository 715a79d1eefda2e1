"""TLS of our listeners: certificate, key, CA, read again when they change."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.storage.paths import given_bytes

_LOOK_SECONDS: Final = 1.0
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_log: Final = logging.getLogger(__name__)
Files = tuple[bytes, bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files held together: as bytes, as Python's own TLS takes it, and the how-many-th it is."""

    files: Files
    context: ssl.SSLContext
    number: int


class Tls:
    """A server's certificate and key (PEM files); with `client_ca`, callers must show one it has signed.

    `reloaded` is called with what was wrong, or nothing, when the files have changed.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
        *,
        min_version: str = "1.2",
        reloaded: Callable[[str], None] | None = None,
    ) -> None:
        self.certificate = certificate
        self.key = key
        self.client_ca = client_ca
        self.min_version = min_version
        self._reloaded = reloaded
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._state: object = None
        self._looked_at = 0.0

    def pem(self) -> Files:
        """Return certificate, key and the callers' authority as bytes."""
        return self.current().files

    def expires_at(self) -> float | None:
        """Return when the certificate ends, in unix seconds."""
        with needing("TLS", "servers"):
            from cryptography import x509  # noqa: PLC0415  an extra
        return x509.load_pem_x509_certificate(self.pem()[0]).not_valid_after_utc.timestamp()

    def context(self) -> ssl.SSLContext:
        """Return the settings for Python's own TLS; each new connection gets those of the newest files."""
        context = self._made()
        context.sni_callback = self._choose
        return context

    def current(self) -> Loaded:
        """Return what the files hold; where they changed and hold nothing whole, what they held before."""
        with self._lock:
            if self._loaded is None:
                self._state = self._stat()
                self._loaded = self._load(1)
            elif time.monotonic() - self._looked_at >= _LOOK_SECONDS:
                self._look_again(self._loaded)
            return self._loaded

    def _look_again(self, loaded: Loaded) -> None:
        self._looked_at = time.monotonic()
        state = self._stat()
        if state == self._state:
            return
        trouble = ""
        try:
            self._loaded = self._load(loaded.number + 1)
            _log.info("read %s and what belongs to it again", self.certificate)
        except ConfigError as error:
            trouble = str(error)
            _log.error("TLS stays as it was: %s", error)
        self._state = state
        if self._reloaded:
            self._reloaded(trouble)

    def _load(self, number: int) -> Loaded:
        files = self._read()
        context = self._made()
        if files != self._read():
            raise ConfigError(f"{self.certificate} and its key are being written: they are read again then")
        self._looked_at = time.monotonic()
        return Loaded(files, context, number)

    def _read(self) -> Files:
        return _read(self.certificate), _read(self.key), _read(self.client_ca) if self.client_ca else None

    def _stat(self) -> object:
        found = []
        for path in filter(None, (self.certificate, self.key, self.client_ca)):
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def _choose(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = self.current().context

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.set_ciphers(_CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        self._read()
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
            if self.client_ca:
                # A ticket would let a caller in whose authority is not trusted any more.
                context.options |= ssl.OP_NO_TICKET
                context.num_tickets = 0
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (ssl.SSLError, ValueError) as error:
            reason = error.reason if isinstance(error, ssl.SSLError) else error
            raise ConfigError(
                f"{self.certificate} and {self.key} make no TLS identity ({reason or 'no PEM'}): give a PEM"
                " certificate and the key that belongs to it, without a password"
            ) from error
        return context


def _no_password() -> str:
    raise ValueError("the key has a password")


def _read(path: Path) -> bytes:
    try:
        return given_bytes(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): name the PEM file") from error
