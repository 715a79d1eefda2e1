"""A ClickHouse: its own engine, chDB, behind its HTTP interface, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import trustme

from fakes.process import Process, free_port

PASSWORD: Final = "ann-knows-it"
READER: Final = "reader"
_START_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """A server: `default` needs no password, `ann` does, and `reader` may not write."""

    process: Process
    port: int
    secure: int
    ca: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def engine() -> Path:
    """Return the folder of ClickHouse's engine; the test is skipped where it is not."""
    servers = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent
    folder = servers / "clickhouse"
    if not (folder / ".engine").is_file():
        pytest.skip(
            f"{folder} has no ClickHouse: make servers fetches it, where the package index has chdb-core"
        )
    return folder


def serve(folder: Path, **settings: object) -> Process:
    """Start a server that keeps its data in a folder."""
    found, port = engine(), free_port()
    script = Path(__file__).with_name("_clickhouse_server.py")
    return Process(
        [sys.executable, script, folder / "data", json.dumps({"port": port, **settings})],
        port=port,
        log=folder / "log",
        env={"PYTHONPATH": str(found)},
        patience=_START_SECONDS,
    )


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouse]:
    """One server for all tests, in memory where that can be; each writes to a database of its own."""
    engine()
    memory = Path("/dev/shm")  # noqa: S108  where an fsync takes no time
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield from _running(Path(name))


def _running(folder: Path) -> Iterator[ClickHouse]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "server.pem"
    )
    secure = free_port()
    process = serve(
        folder,
        secure=secure,
        certificate=str(folder / "server.pem"),
        users={"default": "", "ann": PASSWORD, READER: ""},
        reader=READER,
    )
    yield ClickHouse(process, process.port, secure, folder / "ca.pem")
    process.kill()
