"""Requests that say no more than what they get, which most are: read and answered without h11.

What is not exactly such a request, whole and alone in what has arrived, is h11's, as is each that is wrong.
"""

from __future__ import annotations

import asyncio
import re
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final

from stellarrow.extras import needing

with needing("HTTP", "servers"):
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

_LONGEST: Final = 8_192  # bytes
_REQUEST: Final = re.compile(
    rb"GET (?P<target>/[!-~]*) HTTP/1\.1\r\n"
    rb"(?P<headers>(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*\r\n)+)\r\n"
)
# What has a body, or asks for more than an answer.
_MORE: Final = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer"),
        *(b"http2-settings", b"proxy-connection"),
    )
)
_NO_TOKEN: Final = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_NO_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_KEPT_LINES: Final = 512
_WITHOUT_BODY: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

Headers = list[tuple[bytes, bytes]]


def read_plain(data: bytes) -> tuple[bytes, Headers, bool] | None:
    """Return a request's target, headers, and whether it is the connection's last; None where it is h11's."""
    if len(data) > _LONGEST or not (found := _REQUEST.fullmatch(data)):
        return None
    headers: Headers = []
    hosts, is_last = 0, False
    for line in found["headers"].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name in _MORE:
            return None
        if name == b"connection":
            if value not in (b"close", b"keep-alive"):
                return None
            is_last = is_last or value == b"close"
        hosts += name == b"host"
        headers.append((name, value))
    return (found["target"], headers, is_last) if hosts == 1 else None


class PlainCycle(RequestResponseCycle):
    """One such request's answer, which goes out as it comes: its head together with what follows at once."""

    def __init__(self, *, is_last: bool, **given: Any) -> None:
        super().__init__(**given)
        self.keep_alive = not is_last
        self.more_body = False
        self._head = b""
        self._left: int | None = None  # bytes of the body to come; None where it is sent in chunks
        self.message_event.set()  # there is no body to wait for

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        due = "http.response.body" if self.response_started else "http.response.start"
        if self.response_complete or message["type"] != due:
            raise RuntimeError(f"an application sent {message['type']} where {due} was due")
        if self.response_started:
            self._send_body(message.get("body", b""), is_end=not message.get("more_body", False))
        else:
            self._begin(message["status"], [*self.default_headers, *message.get("headers", ())])

    def _begin(self, status: int, headers: Headers) -> None:
        sizes = [int(value) for name, value in headers if name.lower() == b"content-length"]
        closes = any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers)
        if not self.keep_alive and not closes:
            headers.append((b"connection", b"close"))
        self.keep_alive = self.keep_alive and not closes
        self._left = None
        if status in _WITHOUT_BODY:
            self._left = 0
        elif sizes:
            self._left = sizes[0]
        else:
            headers.append((b"transfer-encoding", b"chunked"))
        self._head = b"".join(
            [_status_line(status), *(_line(name, value) for name, value in headers), b"\r\n"]
        )
        self.response_started = True
        asyncio.get_running_loop().call_soon(self._send_head)

    def _send_head(self) -> None:
        """Send the head of an answer whose body takes its time."""
        head, self._head = self._head, b""
        if head and not self.disconnected:
            self.transport.write(head)

    def _send_body(self, body: bytes, *, is_end: bool) -> None:
        head, self._head = self._head, b""
        if self._left is None:
            sized = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            parts = [head, *sized, b"0\r\n\r\n" if is_end else b""]
        else:
            self._left -= len(body)
            if self._left < 0 or (is_end and self._left):
                self.transport.close()
                raise RuntimeError("an application sent a body of another size than it said")
            parts = [head, body]
        if data := b"".join(part for part in parts if part):
            self.transport.write(data)
        if is_end:
            self._end()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


@cache
def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())


@lru_cache(maxsize=_KEPT_LINES)
def _line(name: bytes, value: bytes) -> bytes:
    """Return a header's line; a ValueError where it would be more than one."""
    if not name or _NO_TOKEN.search(name) or _NO_VALUE.search(value):
        raise ValueError(f"{name!r}: {value!r} is no header")
    return b"%s: %s\r\n" % (name, value)
