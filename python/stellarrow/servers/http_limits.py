"""What strangers may take of an HTTP server: so many connections, so much time, so few lines of log."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import time
from collections import Counter
from http import HTTPStatus
from itertools import count
from typing import Any, Final
from urllib.parse import unquote

from stellarrow.extras import needing

with needing("HTTP", "servers"):
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    from stellarrow.servers.plain_requests import PlainCycle, read_plain
    from stellarrow.servers.problems import refusal

from stellarrow.security.limits import caller_of
from stellarrow.security.principal import Certificate

CONNECTIONS: Final = 256  # at once; of descriptors, sources and spools need the rest
REQUEST_SECONDS: Final = 10.0  # for a request to arrive whole
HEAD_BYTES: Final = 16 << 10  # of a request before its body
_TOO_LONG: Final = 431  # what h11 hints at
_LINGER_SECONDS: Final = 0.5  # for the answer to be read
_QUIET_SECONDS: Final = 60.0  # between two lines that say the same
_turns: Final = count()  # of those who ask: for the clock, all that came at once came at one time
_UNDER_WAY: Final = (h11.IDLE, h11.SEND_BODY)
_log: Final = logging.getLogger(__name__)


class BoundedProtocol(H11Protocol):
    """uvicorn's, closing requests that do not arrive in time, and connections beyond the limit.

    Beyond it, the address that has most connections loses the one that asked for nothing for longest: whoever
    takes all of them keeps nobody else out.
    """

    most = CONNECTIONS
    _deadline: asyncio.TimerHandle | None = None
    turn = 0
    _is_upgraded = False
    _is_refused = False
    _plain: PlainCycle | None = None  # what is being answered without h11
    _later = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # the base takes any transport
        super().connection_made(transport)
        self.turn = next(_turns)
        if len(self.connections) > self.most and not self._make_room():
            transport.abort()
        else:
            self._watch()
            if certificate := _certificate(transport.get_extra_info("peercert")):
                self.app_state = {**self.app_state, "certificate": certificate}

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self.turn = next(_turns)
        if self._plain is not None:
            self._later += data  # is read when the answer that is under way has ended
            self.flow.pause_reading()
            return
        if self._is_between() and (asked := read_plain(data)):
            self._answer_plain(*asked)
            return
        super().data_received(data)
        if self.conn.their_state in _UNDER_WAY and not self._is_upgraded:
            self._watch()
        else:
            self._rest()

    def _is_between(self) -> bool:
        """Tell whether h11 knows of no request, whole or begun."""
        conn = self.conn
        return conn.our_state is h11.IDLE and conn.their_state is h11.IDLE and not conn.trailing_data[0]

    def _answer_plain(self, target: bytes, headers: list[tuple[bytes, bytes]], is_last: bool) -> None:
        self._unset_keepalive_if_required()
        self._rest()
        raw_path, _, query = target.partition(b"?")
        self.headers = headers
        self.scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": "GET",
            "root_path": self.root_path,
            "path": self.root_path + unquote(raw_path.decode("ascii")),
            "raw_path": self.root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
            "state": self.app_state.copy(),
        }
        self.cycle = self._plain = PlainCycle(
            scope=self.scope,
            conn=self.conn,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            on_response=self._after_plain,
            is_last=is_last,
        )
        task = self.loop.create_task(self.cycle.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _after_plain(self) -> None:
        self._plain = None
        self.on_response_complete()
        later, self._later = self._later, b""
        if later and not self.transport.is_closing():
            self.data_received(later)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._is_upgraded = True  # the request has arrived; what comes now is no request
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        is_whole = self.conn.their_state is not h11.SEND_BODY
        super().on_response_complete()  # may begin the next request, of which a part has come
        if not is_whole:
            # It was answered before it had arrived whole: what is still to come is not even read.
            self.transport.pause_reading()
            self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        elif self.conn.their_state is h11.SEND_BODY and not self._is_upgraded:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    @property
    def caller(self) -> str:
        return caller_of(self.client[0]) if self.client else ""

    def _make_room(self) -> bool:
        """Close a connection that is not being answered, and tell whether there was one."""
        others = [one for one in self.connections if isinstance(one, BoundedProtocol) and one is not self]
        held = Counter(one.caller for one in others)
        most = max(held.values(), default=0)
        quiet = [
            one
            for one in others
            if held[one.caller] == most
            and not one.transport.is_closing()
            and (one.cycle is None or one.cycle.response_complete)
        ]
        if quiet:
            min(quiet, key=lambda one: one.turn).transport.abort()
        return bool(quiet)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP: with the headers that all answers have.

        An application whose request turns out to be none, in its body, is told that the caller has left.
        """
        if self.cycle and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # it has begun to answer
            self.transport.close()
            return
        status, sentence = 400, f"{msg.rstrip('.')}: send HTTP/1.1"
        error = sys.exception()
        is_long = isinstance(error, h11.RemoteProtocolError) and error.error_status_hint == _TOO_LONG
        if is_long:
            status, sentence = self._too_long()
        headers, body = refusal(status, sentence, tls=self.scheme == "https")
        reason = HTTPStatus(status).phrase.encode()
        begin = h11.Response(status_code=status, headers=headers, reason=reason)
        for event in (begin, h11.Data(body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if is_long:  # what is still to come is passed over, so that the caller can read the answer
            self._is_refused = True
            self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        else:
            self.transport.close()

    def _too_long(self) -> tuple[int, str]:
        """Return the status and the sentence of a request whose head is too long."""
        most = f"{HEAD_BYTES:,} bytes are read at most"
        if b"\n" in self.conn.trailing_data[0]:
            return 431, f"the request's line and headers are too long together: {most}"
        return 414, f"the request's line is too long: {most}: send what is long in the body of a POST"

    def shutdown(self) -> None:
        try:
            super().shutdown()
        except h11.LocalProtocolError:  # it was broken off before: without this, those after it would stay
            self.transport.abort()

    def _watch(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded(most: int) -> type[BoundedProtocol]:
    """Return the protocol that lets so many connect."""
    return type("BoundedProtocol", (BoundedProtocol,), {"most": most})


def _certificate(shown: Any) -> Certificate | None:
    """Return what a client's verified certificate says, as Python's ssl reads it."""
    if not shown:
        return None
    names = [f"SAN:{value}" for _, value in shown.get("subjectAltName", ())]
    subject = [pair for part in shown.get("subject", ()) for pair in part]
    names += [f"CN:{value}" for name, value in subject if name == "commonName"]
    expires = ssl.cert_time_to_seconds(shown["notAfter"]) if "notAfter" in shown else None
    return Certificate(tuple(names), expires)


class BoundedLoop(asyncio.SelectorEventLoop):
    """Python's, letting go of connections whose TLS handshake does not end in time."""

    async def create_server(self, *given: Any, **choices: Any) -> Any:
        if choices.get("ssl"):
            choices["ssl_handshake_timeout"] = REQUEST_SECONDS
        return await super().create_server(*given, **choices)


class BriefFaults:
    """Says what the event loop met in a sentence, the same no more than once a minute."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        answer = f"HTTP: {context.get('message', 'a fault')} ({context.get('exception')})"[:200]
        now = time.monotonic()
        if now - self._told.get(answer, -_QUIET_SECONDS) >= _QUIET_SECONDS:
            self._told = {one: at for one, at in self._told.items() if now - at < _QUIET_SECONDS}
            self._told[answer] = now
            _log.warning("%s", answer)
