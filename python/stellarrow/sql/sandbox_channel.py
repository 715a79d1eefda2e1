"""Messages between a server and the process that runs a stranger's query: JSON with its length before it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Final

_HEAD: Final = struct.Struct("!I")


def send(control: socket.socket, message: dict[str, Any]) -> None:
    """Send a message whole."""
    text = json.dumps(message).encode()
    control.sendall(_HEAD.pack(len(text)) + text)


def receive(control: socket.socket) -> dict[str, Any] | None:
    """Receive a message; None where the other side has gone."""
    head = _exactly(control, _HEAD.size)
    text = _exactly(control, _HEAD.unpack(head)[0]) if head else b""
    return json.loads(text) if text else None


def _exactly(control: socket.socket, size: int) -> bytes:
    held = b""
    while len(held) < size:
        part = control.recv(min(size - len(held), 1 << 20))
        if not part:
            return b""
        held += part
    return held
