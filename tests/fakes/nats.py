"""A NATS server with JetStream, alone in its cluster; what it keeps lies in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from fakes.process import Process, free_port, program

_START_SECONDS: Final = 120.0
_SETTINGS: Final = """
host: 127.0.0.1
port: {port}
jetstream {{ store_dir: {folder} }}
{more}
"""


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A server that listens."""

    process: Process

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.process.port}"


def started(folder: Path, more: str = "") -> NatsServer:
    """Start a server with more settings than it takes; who starts it stops its process."""
    found = program("nats-server", remedy="make build installs it, of the extra dev")
    port, settings = free_port(), folder / "nats.conf"
    settings.write_text(_SETTINGS.format(port=port, folder=json.dumps(str(folder / "kept")), more=more))
    argv: list[str | Path] = [found, "-c", settings]
    return NatsServer(Process(argv, port=port, log=folder / "log", patience=_START_SECONDS))


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for all tests; each writes to a stream of its own name."""
    made = started(tmp_path_factory.mktemp("nats"))
    yield made
    made.process.stop()
