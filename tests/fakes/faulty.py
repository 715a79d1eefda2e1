"""A real HTTP proxy that answers badly on demand, for what a TCP proxy cannot do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one answer: another status, or its body cut, shortened, changed or slowed."""

    status: int | None = None
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes after which the connection breaks
    shorten: int | None = None  # bytes that are all there is, by its length too
    flip: int | None = None  # the byte that is another
    wait: float = 0.0  # seconds before the body


Plan = Callable[[str, str], Fault | None]


class FaultyProxy:
    """Passes requests on; `plan`, given method and path, says what goes wrong. `seen` is what was asked."""

    def __init__(self) -> None:
        self.upstream = ""
        self.plan: Plan = lambda _method, _path: None
        self.seen: list[tuple[str, str]] = []
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def gets(self) -> list[str]:
        """The paths of objects that were asked for."""
        return [path for method, path in self.seen if method == "GET" and "?" not in path]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: FaultyProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        self.owner.seen.append((self.command, self.path))
        fault = self.owner.plan(self.command, self.path) or Fault()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if fault.status:
            answer_shown = (
                f"<Error><Code>{fault.code}</Code><Message>As the test wants.</Message></Error>".encode()
            )
            self._send(fault.status, fault.headers, answer_shown if fault.code else b"", Fault())
            return
        # The signature covers the host the client knows.
        connection = HTTPConnection(self.owner.upstream, timeout=10)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "transfer-encoding", "connection")
            }
            content = answer.read()
            if self.command == "HEAD":
                headers["content-length"] = answer.getheader("content-length") or "0"
        finally:
            connection.close()
        self._send(answer.status, headers, content, fault if answer.status < 300 else Fault())

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  names the library looks for

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        if fault.shorten is not None:
            body = body[: fault.shorten]
        if fault.flip is not None and body:
            at = fault.flip % len(body)
            body = body[:at] + bytes([body[at] ^ 0x40]) + body[at + 1 :]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        time.sleep(fault.wait)
        if self.command != "HEAD":
            self.wfile.write(body if fault.cut is None else body[: fault.cut])
        if fault.cut is not None:
            self.wfile.flush()
            self.close_connection = True


@pytest.fixture
def faulty() -> Iterator[FaultyProxy]:
    """A proxy of the test's own; set its upstream, host:port."""
    proxy = FaultyProxy()
    yield proxy
    proxy.stop()
