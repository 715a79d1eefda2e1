"""Clients of HTTP that keep their connections, in one process, cheap enough not to be what is measured.

python http_crowd.py ASKED, a JSON object: port, path, in which $ is each number from first to last in turn,
clients, seconds, and a_second, requests of all clients, 0 for as many as are answered. How late an answer is
is counted from when its request was due, not from when it was sent.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any


class Client:
    """A connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._came = b""
        self._size = -1

    def ask(self, path: str, due: float) -> None:
        self.due = due
        self._came, self._size = b"", -1
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def take(self) -> int:
        """Take what is there; return the answer's bytes once it is whole, 0 before."""
        self._came += self.socket.recv(1 << 20)
        if self._size < 0 and (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = self._came[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"refused: {self._came[:500]!r}")
            self._size = end + 4 + int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        return self._size if len(self._came) == self._size else 0


def main() -> None:
    asked = json.loads(sys.argv[1])
    late, size, seconds = run(asked, cycle(range(asked["first"], asked["last"] + 1)))
    late.sort()
    told = {
        "requests": len(late),
        "a_second": len(late) / seconds,
        "bytes": size / len(late),
        "p50_ms": 1e3 * late[len(late) // 2],
        "p99_ms": 1e3 * late[len(late) * 99 // 100],
    }
    print(json.dumps(told))


def run(asked: Mapping[str, Any], numbers: Iterator[int]) -> tuple[list[float], int, float]:
    """Ask as often as it is told; return how late each answer was, their bytes, and the seconds it took."""
    clients = {one.socket.fileno(): one for one in (Client(asked["port"]) for _ in range(asked["clients"]))}
    poll = select.epoll()
    for file in clients:
        poll.register(file, select.EPOLLIN)
    idle = deque(clients.values())
    late, size = list[float](), 0
    began = time.monotonic()
    pause = 1 / asked["a_second"] if asked["a_second"] else 0.0
    due = began
    while (now := time.monotonic()) < began + asked["seconds"]:
        while idle and due <= now:
            path = asked["path"].replace("$", str(next(numbers)))
            idle.popleft().ask(path, due if pause else time.monotonic())
            due += pause
        for file, _ in poll.poll(0.05 if not idle else max(0.0, due - now)):
            if whole := clients[file].take():
                late.append(time.monotonic() - clients[file].due)
                size += whole
                idle.append(clients[file])
    return late, size, time.monotonic() - began


if __name__ == "__main__":
    main()
