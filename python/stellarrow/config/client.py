"""What is shown to services that are asked, as by `watch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import (
    FILE,
    TOKEN,
    TRUTH,
)
from stellarrow.net.client_tls import ClientTls
from stellarrow.net.credentials import ClientCredentials


@dataclass(frozen=True, kw_only=True)
class Client(Settings):
    """What `watch` shows a service so that it lets us in."""

    token: str | None = setting(TOKEN, None, "CLIENT_TOKEN", help="An API key or a token.")
    tls: bool = setting(TRUTH, "false", "CLIENT_TLS", help="Speak TLS; a CA or a certificate means it, too.")
    ca: Path | None = setting(FILE, None, "CLIENT_CA", help="Whom the service is trusted by, PEM.")
    certificate: Path | None = setting(
        FILE, None, "CLIENT_CERTIFICATE", help="What it is shown for mutual TLS, PEM."
    )
    key: Path | None = setting(FILE, None, "CLIENT_KEY", help="That certificate's key, PEM.")

    @property
    def credentials(self) -> ClientCredentials:
        """These settings as one value."""
        return ClientCredentials.of((), self.token, ClientTls(self.ca, self.certificate, self.key))

    @property
    def scheme(self) -> str:
        return "https" if self.tls or self.credentials.tls.is_set else "http"
