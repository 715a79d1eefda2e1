"""Autobahn's cases against the WebSocket: what any client may send, and what of it is answered how."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from stellarrow.net.address import Address
from stellarrow.servers.analytics_ws import limits
from stellarrow.servers.analytics_ws.frames import binary_frame, text_frame
from stellarrow.servers.http import HealthServer

KOSOKU = Path(sys.executable).with_name("kosoku")
LARGEST = 64 << 20  # some cases send 16 MB, far beyond what the service takes
# Packing by permessage-deflate is not offered: cases 12 and 13 are UNIMPLEMENTED.
GOOD = {"OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED"}


async def echo(websocket: WebSocket) -> None:
    """Answer as the service does: with whole frames of its own, written to the transport."""
    await websocket.receive()
    await websocket.send({"type": "websocket.accept"})
    socket = websocket.scope["state"]["socket"]

    async def run(receive: Any) -> None:
        while (event := await receive())["type"] == "websocket.receive":
            text = event.get("text")
            await socket.writable.wait()
            socket.write_frame(binary_frame(event["bytes"]) if text is None else text_frame(text.encode()))

    socket.session = run


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    monkeypatch.setattr(limits, "MESSAGE_BYTES", LARGEST)
    ready = threading.Event()
    ready.set()
    route = WebSocketRoute("/", echo)
    server = HealthServer(Address("127.0.0.1", 0), ready=ready, routes=[route], sockets=100)
    with closing(server):
        server.start()
        yield server.address


def verdicts(address: Address, folder: Path, *choices: str) -> dict[str, str]:
    """Return what became of each case."""
    if not KOSOKU.is_file():
        pytest.skip("kosoku is not installed: pip install kosoku")
    argv = [str(KOSOKU), "-p", "4", "-o", str(folder), *choices, str(address)]
    subprocess.run(argv, check=False, capture_output=True, timeout=3_000)
    [agent] = json.loads((folder / "index.json").read_text()).values()
    return {case: told["behavior"] for case, told in agent.items()}


def check(found: dict[str, str], cases: int) -> None:
    assert len(found) == cases
    assert {case for case, behavior in found.items() if behavior not in GOOD} == set()


@pytest.mark.slow
def test_every_case_of_autobahn_is_answered_as_the_rfc_says(address: Address, tmp_path: Path) -> None:
    check(verdicts(address, tmp_path), 517)
    shutil.rmtree(tmp_path)
