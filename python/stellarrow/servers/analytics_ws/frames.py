"""Whole WebSocket frames of a server, made once and written to every connection (RFC 6455, 5.2)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from stellarrow.extras import needing
from stellarrow.servers.problems import refusal

with needing("WebSocket", "analytics"):
    from starlette.types import Receive, Scope, Send
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
    from websockets.frames import Frame, Opcode
    from websockets.http11 import Request
    from websockets.server import ServerProtocol

_TEXT: Final = 0x81
_BINARY: Final = 0x82
_MOST_PARTS: Final = 4_096  # of a message of 64 KB
GRACE_SECONDS: Final = 5.0  # for the last words to be read
_MOST_WAITING: Final = 64 << 10  # bytes
_LONGEST_REASON: Final = 200  # characters of why a request is none: it may hold what the client sent


def text_frame(payload: bytes) -> bytes:
    """Return a frame of UTF-8 text."""
    return _head(_TEXT, len(payload)) + payload


def binary_frame(payload: bytes) -> bytes:
    """Return a frame of bytes."""
    return _head(_BINARY, len(payload)) + payload


def _head(kind: int, size: int) -> bytes:
    if size < 126:
        return struct.pack("!BB", kind, size)
    if size < 1 << 16:
        return struct.pack("!BBH", kind, 126, size)
    return struct.pack("!BBQ", kind, 127, size)


class Inbox:
    """What has arrived, for one who reads: asyncio's own queue takes three kilobytes a connection."""

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        self._held: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None

    def put_nowait(self, event: Any) -> None:
        self._held.append(event)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def empty(self) -> bool:
        return not self._held

    async def get(self) -> Any:
        while not self._held:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._waiting = None
        return self._held.pop(0)


class Conversation(ServerProtocol):
    """The library's, to which a client may say goodbye in the middle of a message (RFC 6455, 5.4)."""

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, to which whole frames may be written at once; what is waiting to be sent is known.

    `session` is what the application leaves behind where it accepts: it runs when the application has
    returned, and of the request nothing is kept.
    """

    session: Callable[[Receive], Awaitable[None]] | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._pong_bytes = 0  # behind much else that waits
        self.conn = Conversation(max_size=self.config.ws_max_size, logger=self.logger)
        self.queue = Inbox()  # type: ignore[assignment]  # as much of one as is used
        self.app_state = {**self.app_state, "socket": self}
        self._deciding = self.app
        self.app = self._accepted

    async def _accepted(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._deciding(scope, receive, send)
        if self.initial_response is not None:
            self.handshake_complete = True  # it was refused, which uvicorn would take for an error
        if self.session is not None:
            del scope, send
            self.scope["headers"] = []
            self.request.headers.clear()
            self.response.headers.clear()
            await self.session(receive)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse(HTTPStatus.BAD_REQUEST, "")  # as with a body: of such, no event tells

    def handle_ping(self) -> None:
        """Answer; to who sends pings and reads nothing, no longer once so many answers wait."""
        pongs = b"".join(self.conn.data_to_send())
        self._pong_bytes = 0 if self.waiting < _MOST_WAITING else self._pong_bytes + len(pongs)
        if self._pong_bytes < _MOST_WAITING:  # who is behind must hear them, or takes us for dead
            self.transport.write(pongs)

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message, of which there may be so many, as those without a byte cost, too."""
        super().handle_cont(event)
        if len(self.frames) > _MOST_PARTS:
            self.frames = []
            self.conn.fail(1009, f"a message has {_MOST_PARTS:,} parts at most")
            self.handle_parser_exception()

    def handle_close(self, event: Frame) -> None:
        """Answer, or take the answer, and end the connection, whether or not the rest is ever read."""
        super().handle_close(event)
        if self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self.transport.abort)
        self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Take a request to connect; one that is none is answered as all that is wrong."""
        answer = self.conn.accept(event)
        if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._refuse(HTTPStatus(answer.status_code), answer.headers.get("Allow", ""))
            return
        super().handle_connect(event)

    def _refuse(self, status: HTTPStatus, allow: str) -> None:
        reason = str(self.conn.handshake_exc or status.phrase)[:_LONGEST_REASON]
        sentence = f"this is no request for a WebSocket ({reason}): send what RFC 6455 asks for"
        headers, body = refusal(status, sentence, tls=self.scheme == "wss")
        lines = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
        lines += [b"%s: %s" % pair for pair in headers]
        lines += [b"allow: %s" % allow.encode("latin-1")] if allow else []
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()

    @property
    def is_open(self) -> bool:
        return self.handshake_complete and not (
            self.close_sent or self.disconnected or self.transport.is_closing()
        )

    @property
    def waiting(self) -> int:
        """How many bytes were written and not sent yet."""
        return 0 if self.transport.is_closing() else self.transport.get_write_buffer_size()

    def write_frame(self, frame: bytes) -> None:
        """Write a whole frame; after the connection has ended, do nothing."""
        transport = self.transport
        if not (self.close_sent or self.disconnected or transport.is_closing()) and self.handshake_complete:
            transport.write(frame)

    def write_unless_behind(self, frame: bytes, most: int) -> bool:
        """Write a whole frame as `write_frame` does; False, and nothing, where more than so much waits."""
        transport = self.transport
        if self.close_sent or self.disconnected or transport.is_closing() or not self.handshake_complete:
            return True
        if transport.get_write_buffer_size() > most:
            return False
        transport.write(frame)
        return True

    def abort(self) -> None:
        """End the connection without a word."""
        self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; text that is no UTF-8 ends the connection, without a traceback in the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
            try:
                data.decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()
