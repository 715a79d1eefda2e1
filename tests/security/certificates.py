"""Certificates of a small authority, on disk as a service reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from security.deployment import Shown


class Authority:
    """An authority of our own, a server's identity it signed, and clients'."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = trustme.CA()
        self.renew()

    def renew(self, *, signer: trustme.CA | None = None) -> None:
        """Write a new certificate and key for the server; by another authority where it is named."""
        issued = (signer or self.ca).issue_cert("127.0.0.1", "localhost")
        (self.folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
        (self.folder / "key.pem").chmod(0o600)
        chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
        (self.folder / "certificate.pem").write_bytes(chain)
        if not (self.folder / "ca.pem").exists():
            self.ca.cert_pem.write_to_path(self.folder / "ca.pem")

    @property
    def flags(self) -> dict[str, str]:
        """What a service with mutual TLS is told."""
        return {**self.server_flags, "tls_client_ca": str(self.folder / "ca.pem")}

    @property
    def server_flags(self) -> dict[str, str]:
        return {
            "tls_certificate": str(self.folder / "certificate.pem"),
            "tls_key": str(self.folder / "key.pem"),
        }

    def client(
        self,
        *names: str,
        common_name: str | None = None,
        signer: trustme.CA | None = None,
        expired: bool = False,
    ) -> Shown:
        """Return what a client with a certificate of its own shows."""
        ends = datetime.now(UTC) + timedelta(days=-1 if expired else 30)
        issued = (signer or self.ca).issue_cert(*names, common_name=common_name, not_after=ends)
        return Shown(
            {},
            issued.cert_chain_pems[0].bytes(),
            issued.private_key_pem.bytes(),
            self.ca.cert_pem.bytes(),
        )

    @property
    def stranger(self) -> Shown:
        """A client that trusts the server and has no certificate."""
        return Shown({}, authority=self.ca.cert_pem.bytes())
