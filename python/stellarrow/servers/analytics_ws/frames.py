"""Whole WebSocket frames of a server, made once and written to every connection (RFC 6455, 5.2)."""

from __future__ import annotations

import struct
from typing import Any, Final

from stellarrow.extras import needing

with needing("WebSocket", "analytics"):
    from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_TEXT: Final = 0x81
_BINARY: Final = 0x82


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


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, to which whole frames may be written at once; what is waiting to be sent is known."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.app_state = {**self.app_state, "socket": self}

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
        if self.is_open:
            self.transport.write(frame)

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
