"""Many WebSocket clients in one process, cheap enough not to be what is measured.

python websocket_crowd.py ASKED, a JSON object: host, port, path, protocol, clients, stuck, hello (messages
that each sends), told (what the answer to the last of them has), first and last (what stands before the
numbers of what was sent first and last in a message). It says "ready", takes what comes until a line on
stdin, then reads on another when each number was sent, and says how late the last of each delivery was.
Stuck clients subscribe, and read nothing from then on.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import select
import socket
import struct
import sys
import time
from array import array
from collections.abc import Mapping
from typing import Any

STUCK_BYTES = 4_096  # that the system takes for a client that reads nothing


def frame(text: str) -> bytes:
    """Return a client's frame, masked with zeros."""
    data = text.encode()
    size = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
    return b"\x81" + size + b"\x00\x00\x00\x00" + data


class Client:
    """One connection, and what came of a frame so far."""

    def __init__(self, asked: Mapping[str, Any], *, is_stuck: bool) -> None:
        self.rest = b""
        self.socket = socket.socket()
        if is_stuck:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STUCK_BYTES)
        self.socket.connect((asked["host"], asked["port"]))
        key = base64.b64encode(os.urandom(16)).decode()
        protocol = f"Sec-WebSocket-Protocol: {asked['protocol']}\r\n" if asked["protocol"] else ""
        head = (
            f"GET {asked['path']} HTTP/1.1\r\nHost: {asked['host']}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
        )
        self.socket.sendall(head.encode())
        self._until(b"\r\n\r\n")
        if not self.rest.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"no WebSocket: {self.rest[:300]!r}")
        for one in asked["hello"]:
            self.socket.sendall(frame(one))
        self._until(asked["told"].encode())
        # What is behind it belongs to the answers: no ledger was sent yet.
        self.rest = b""

    def _until(self, mark: bytes) -> None:
        while mark not in self.rest:
            came = self.socket.recv(65_536)
            if not came:
                raise SystemExit(f"the server has closed: {self.rest[-300:]!r}")
            self.rest += came

    def take(self, data: bytes, marks: tuple[bytes, bytes], numbers: array[int]) -> int:
        """Note the last numbers of deliveries, and answer pings; return how many were delivered."""
        first, last = marks
        covered = 0
        if self.rest:
            data = self.rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            size, head = data[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4]), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10]), 10
            begun, at = at + head, at + head + size
            if at > end:
                at = begun - head
                break
            if data[begun - head] == 0x89:
                pong = bytes((0x8A, 0x80 | at - begun)) + bytes(4) + data[begun:at]
                self.socket.sendall(pong)
                continue
            place = data.find(first, begun, at)
            while place >= 0:
                until = data.find(last, place, at)
                numbers.append(number(data, until + len(last)))
                covered += numbers[-1] - number(data, place + len(first)) + 1
                place = data.find(first, until + 1, at)
        self.rest = data[at:]
        return covered


def number(data: bytes, place: int) -> int:
    """Read the number that begins at a place."""
    return int(data[place : place + 20].split(b",", 1)[0].rstrip(b"}"))


class Crowd:
    """All clients, and what came to them: the last number of each delivery and when, how many, and bytes."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self._asked = asked
        self._marks = (asked["first"].encode(), asked["last"].encode())
        self._poll = select.epoll()
        self._clients: dict[int, Client] = {}
        self.numbers, self.arrivals = array("Q"), array("d")
        self.covered = self.size = self.closed = 0
        for _ in range(asked["clients"]):
            client = Client(asked, is_stuck=False)
            self._clients[client.socket.fileno()] = client
            self._poll.register(client.socket, select.EPOLLIN)
            self._take(self._poll.poll(0))  # pings are answered meanwhile
        self._stuck = [Client(asked, is_stuck=True) for _ in range(asked["stuck"])]

    def listen(self) -> None:
        """Take what comes until there is a line on stdin."""
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        while not self._take(self._poll.poll()):
            pass
        sys.stdin.readline()

    def _take(self, ready: list[tuple[int, int]]) -> bool:
        """Take what is there; tell whether stdin has something."""
        for file, _ in ready:
            if file not in self._clients:
                return True
            client = self._clients[file]
            data = client.socket.recv(262_144)
            if not data:
                self.closed += 1
                self._poll.unregister(file)
                continue
            before = len(self.numbers)
            self.covered += client.take(data, self._marks, self.numbers)
            self.size += len(data)
            self.arrivals.extend([time.monotonic()] * (len(self.numbers) - before))
        return False


def main() -> None:
    asked = json.loads(sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd(asked)
    print("ready", flush=True)
    crowd.listen()
    sent = {int(number): at for number, at in json.loads(sys.stdin.readline()).items()}
    late = sorted(at - sent[number] for number, at in zip(crowd.numbers, crowd.arrivals, strict=True))
    told = {
        "deliveries": len(late),
        "ledgers": crowd.covered,
        "lost": len(sent) * asked["clients"] - crowd.covered,
        "closed": crowd.closed,
        "bytes": crowd.size / max(1, len(late)),
        "p50_ms": 1e3 * late[len(late) // 2] if late else -1.0,
        "p99_ms": 1e3 * late[len(late) * 99 // 100] if late else -1.0,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
