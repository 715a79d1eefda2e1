"""POST to one HTTP server: answers bounded in size and time, through the proxy the environment names.

urllib3 takes answers of 35 MB in at 870 MB of XDR a second on loopback, httpx at 190.
"""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

from stellarrow.extras import needing
from stellarrow.net.client_tls import ClientTls
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.identity import USER_AGENT
from stellarrow.net.proxies import Proxy, proxy_for

with needing("an RPC node", "rpc"):
    import urllib3
    from urllib3.connection import HTTPConnection
    from urllib3.exceptions import LocationValueError

_CONNECT_SECONDS: Final = 10.0
_READ_BYTES: Final = 1 << 20
_REFUSAL_BYTES: Final = 64 << 10  # of the body of an answer that is an error: it is only looked at
# After these seconds a body must have come at these bytes a second on average.
_TRICKLE_SECONDS: Final = 5.0
_TRICKLE_RATE: Final = 1 << 10
_SLOW_RATE: Final = 64 << 10  # and at this rate once the timeout has passed
_GZIP: Final = 31  # window bits that make zlib expect a gzip header


class AnswerTooLarge(Exception):
    """The body goes on beyond what was allowed."""


class AnswerTooSlow(Exception):
    """The answer comes in drops."""


class AnswerDamaged(Exception):
    """The body is not what its headers say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; the body of an error may be cut."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class HttpClient:
    """One server: calls go through a pool of kept connections, from any thread."""

    def __init__(self, url: str, *, timeout: float, credentials: ClientCredentials = NO_CREDENTIALS) -> None:
        parsed = urllib3.util.parse_url(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise LocationValueError(url)
        self._url = urllib3.util.Url(
            parsed.scheme, None, parsed.host, parsed.port, parsed.path, parsed.query
        ).url
        self.proxy = proxy_for(self._url)
        self._manager = _manager(self.proxy, credentials.tls)
        self._timeout = timeout
        self._headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
        if parsed.auth:
            self._headers |= urllib3.util.make_headers(basic_auth=parsed.auth)
        self._headers |= credentials.headers_for(parsed.host)
        self._sockets = _Sockets(self._manager.connection_from_url(self._url), timeout)

    def post(self, body: bytes, *, content_type: str, limit: int) -> Answer:
        """Return what the server answers; where it does not, urllib3's HTTPError or one of those above."""
        answer = self._manager.urlopen(
            "POST",
            self._url,
            body=body,
            headers={"Content-Type": content_type, **self._headers},
            timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, self._timeout), read=self._timeout),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        is_whole = False
        try:
            if answer.status == 200:
                content = self._read(answer, limit)
                is_whole = True
            else:
                content, is_whole = self._read_refusal(answer)
        finally:
            if is_whole:
                answer.release_conn()
            else:
                answer.close()  # what is still on its way belongs to nobody
        return Answer(answer.status, answer.reason or "", answer.headers, content)

    def close(self) -> None:
        """Hang up, also on calls that other threads wait for."""
        self._sockets.shut()
        self._manager.clear()

    def _read(self, answer: Any, limit: int) -> bytes:
        """Take a body in whole, or raise what is wrong with it."""
        take = _decoder(answer.headers.get("Content-Encoding", ""), limit)
        begun = time.monotonic()
        received = 0
        parts: list[bytes] = []
        held = 0
        while chunk := answer.read1(_READ_BYTES, decode_content=False):
            received += len(chunk)
            parts.append(part := take(chunk, limit - held + 1))
            held += len(part)
            if held > limit or received > limit:
                raise AnswerTooLarge
            self._check_pace(received, time.monotonic() - begun)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_refusal(self, answer: Any) -> tuple[bytes, bool]:
        """Take in the beginning of an error's body, whatever else goes wrong with it."""
        try:
            return self._read(answer, _REFUSAL_BYTES), True
        except (AnswerTooLarge, AnswerTooSlow, AnswerDamaged, urllib3.exceptions.HTTPError):
            return b"", False

    def _check_pace(self, received: int, seconds: float) -> None:
        if seconds > _TRICKLE_SECONDS and received < seconds * _TRICKLE_RATE:
            raise AnswerTooSlow
        if seconds > self._timeout and received < seconds * _SLOW_RATE:
            raise AnswerTooSlow


def _manager(proxy: Proxy | None, tls: ClientTls) -> urllib3.PoolManager:
    choices: dict[str, Any] = {"maxsize": 4, **({"ssl_context": tls.context()} if tls.is_set else {})}
    if proxy is None:
        return urllib3.PoolManager(**choices)
    if proxy.url.startswith("socks"):
        with needing(str(proxy), "rpc"):
            from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415  few need it
        return SOCKSProxyManager(proxy.url, **choices)
    headers = urllib3.util.make_headers(proxy_basic_auth=proxy.login) if proxy.login else None
    return urllib3.ProxyManager(proxy.url, proxy_headers=headers, **choices)


def _decoder(encoding: str, limit: int) -> Any:
    """Return what decodes a part of a body, to at most so many bytes."""
    if encoding.lower() in ("", "identity"):
        return lambda chunk, _: chunk
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise AnswerDamaged(f"it is encoded as {encoding[:20]!r}, which was not asked for")
    inflate = zlib.decompressobj(_GZIP)

    def decode(chunk: bytes, most: int) -> bytes:
        try:
            return inflate.decompress(inflate.unconsumed_tail + chunk, min(most, limit + 1))
        except zlib.error as error:
            raise AnswerDamaged("its gzip is damaged") from error

    return decode


class _Sockets:
    """The open sockets of a pool, so that a blocked call can be cut off."""

    def __init__(self, pool: urllib3.HTTPConnectionPool, timeout: float) -> None:
        self._lock = threading.Lock()
        self._connections: WeakSet[HTTPConnection] = WeakSet()
        kept = self
        original: Any = pool.ConnectionCls

        class Tracked(original):  # type: ignore[misc]  # which of two classes it is, depends on the scheme
            def connect(self) -> None:
                with kept._cut_after(self, timeout):
                    super().connect()
                with kept._lock:
                    kept._connections.add(self)

            def getresponse(self) -> Any:
                # A timeout of a socket begins anew with every byte.
                with kept._cut_after(self, timeout):
                    return super().getresponse()

        pool.ConnectionCls = Tracked

    def shut(self) -> None:
        with self._lock:
            for connection in self._connections:
                _cut(connection)

    @contextmanager
    def _cut_after(self, connection: HTTPConnection, seconds: float) -> Generator[None]:
        """Cut a connection off that is not done in time, and say so."""
        fired = threading.Event()

        def late() -> None:
            fired.set()
            _cut(connection)

        timer = threading.Timer(seconds + 0.5, late)  # after the socket's own, which says more
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if fired.is_set():
                raise AnswerTooSlow from error
            raise
        finally:
            timer.cancel()
        if fired.is_set():
            raise AnswerTooSlow  # what came so far looks whole, but was cut off


def _cut(connection: HTTPConnection) -> None:
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
