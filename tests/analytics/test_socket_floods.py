"""Frames that cost nothing to send cost the server nothing to hold."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from analytics.conftest import Served

HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
NO_MASK = b"\0\0\0\0"
PING = b"\x89\xfd" + NO_MASK + b"x" * 125
TEXT_BEGINS, EMPTY_PART = b"\x01\x80" + NO_MASK, b"\x00\x80" + NO_MASK


@contextmanager
def upgraded(served: Served) -> Iterator[socket.socket]:
    address = served.service.rest.address
    with socket.create_connection((address.host, address.port), 30) as client:
        client.sendall(HANDSHAKE)
        found = b""
        while b'"op":"ready"' not in found:
            found += client.recv(65_536)
        yield client


def test_pings_of_one_who_reads_nothing_wait_for_no_pongs(served: Served) -> None:
    protocols: set[Any] = served.service.rest._server.server_state.connections
    before = {*protocols}
    with upgraded(served) as client:
        client.settimeout(2)
        sent, end = 0, time.monotonic() + 20
        while sent < 24 << 20 and time.monotonic() < end:
            try:
                sent += client.send(PING * 1_000)
            except TimeoutError:
                break
        (held,) = {*protocols} - before
        assert held.waiting < 1 << 20


def test_a_ping_of_one_who_has_not_read_all_yet_is_answered(served: Served) -> None:
    protocols: set[Any] = served.service.rest._server.server_state.connections
    before = {*protocols}
    with upgraded(served) as client:
        (held,) = {*protocols} - before
        is_answered, handle = threading.Event(), held.handle_ping

        def answer() -> None:
            handle()
            is_answered.set()

        held.handle_ping = answer
        held.loop.call_soon_threadsafe(held.write_frame, bytes(32 << 20))
        client.sendall(b"\x89\x84" + NO_MASK + b"here")
        assert is_answered.wait(30)
        assert held.waiting > 1 << 20
        found = b""
        while not found.endswith(b"\x8a\x04here"):
            piece = client.recv(1 << 20)
            assert piece
            found = found[-6:] + piece


def test_a_message_of_endless_parts_without_a_byte_is_broken_off(served: Served) -> None:
    with upgraded(served) as client:
        client.sendall(TEXT_BEGINS + EMPTY_PART * 5_000)
        found = b""
        while b"parts at most" not in found:
            piece = client.recv(65_536)
            assert piece
            found += piece
    assert struct.pack("!H", 1009) in found
