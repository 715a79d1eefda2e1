"""Whom our clients trust."""

from __future__ import annotations

from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.net.client_tls import ClientTls


@pytest.mark.parametrize(
    ("held", "told"),
    [(b"no PEM", "is no PEM file"), (b"-----BEGIN CERTIFICATE-----\nx\n", "holds no certificate")],
)
def test_a_ca_that_is_no_certificate_is_named(tmp_path: Path, held: bytes, told: str) -> None:
    (tmp_path / "ca.pem").write_bytes(held)
    with pytest.raises(sa.ConfigError, match=f"ca.pem {told}"):
        ClientTls(ca=tmp_path / "ca.pem").context()


def test_a_subscription_names_a_ca_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"no PEM")
    with pytest.raises(sa.ConfigError, match="is no PEM file"):
        next(iter(sa.subscribe("wss://127.0.0.1:1", table="ledgers", ca=str(tmp_path / "ca.pem"))))
