"""One connection: who it is, what it subscribed to, and when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from stellarrow.analysis.reads.refusals import NotFound, Refused
from stellarrow.errors import StellarrowError, TooManyCalls
from stellarrow.extras import needing
from stellarrow.net.resilience import TokenBucket
from stellarrow.security.access import Access, Grant
from stellarrow.security.permissions import Permission
from stellarrow.security.principal import Call
from stellarrow.servers.analytics_live import Channels
from stellarrow.servers.analytics_ws.encoding import encoder, message, schema_message
from stellarrow.servers.analytics_ws.frames import GRACE_SECONDS, SocketProtocol, binary_frame
from stellarrow.servers.analytics_ws.limits import (
    BEHIND_SECONDS,
    MESSAGES_BURST,
    MESSAGES_PER_SECOND,
    SUBSCRIPTIONS,
    Limits,
)
from stellarrow.servers.analytics_ws.messages import bytes_of, id_of, read, subscribe_of
from stellarrow.servers.analytics_ws.subscriptions import Subscription
from stellarrow.servers.analytics_ws.watching import Watch
from stellarrow.servers.status import status_of

with needing("WebSocket", "analytics"):
    from starlette.concurrency import run_in_threadpool
    from starlette.types import Receive

SLOW: Final = 4008
TIMED_OUT: Final = 4001
NO_LONGER: Final = 4003
TOO_FAST: Final = 1008
RESTARTING: Final = 1012
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the connections of a listener have in common."""

    channels: Channels
    access: Access | None
    limits: Limits
    watch: Watch


class Session:
    """Reads messages and answers them, until one side ends it."""

    __slots__ = (
        *("socket", "_shared", "_grant", "_subscriptions", "_numbers", "_bucket", "_begun", "_heard"),
        *("_has_subscribed", "_behind_since", "_is_closing"),
    )

    def __init__(self, shared: Shared, socket: SocketProtocol, grant: Grant) -> None:
        self.socket = socket
        self._shared = shared
        self._grant = grant
        self._subscriptions: dict[str, Subscription] = {}
        self._numbers = 0
        self._bucket = TokenBucket(MESSAGES_PER_SECOND, MESSAGES_BURST)
        self._begun = self._heard = time.monotonic()
        self._has_subscribed = False
        self._behind_since: float | None = None
        self._is_closing = False

    async def run(self, receive: Receive) -> None:
        """Return when the connection has ended."""
        self._ready()
        self._shared.watch.add(self)
        try:
            while (event := await receive())["type"] == "websocket.receive":
                await self._take(event)
        finally:
            self._shared.watch.remove(self)
            for one in self._subscriptions.values():
                one.close()

    def close(self, code: int, why: str) -> None:
        """Say where each subscription goes on, and end the connection."""
        if self._is_closing:
            return
        self._is_closing = True
        resume = {name: one.resume for name, one in self._subscriptions.items()}
        self.socket.write_frame(message("closing", code=code, why=why, resume=resume, retry_after=1))
        for one in self._subscriptions.values():
            one.close()
        self._subscriptions.clear()
        if self.socket.is_open:
            self.socket.conn.send_close(code, why[:100])
            self.socket.transport.write(b"".join(self.socket.conn.data_to_send()))
            self.socket.close_sent = True
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self.socket.abort)

    def too_slow(self) -> None:
        self.close(SLOW, "too slow: more than 1 MB or 5 s behind")

    def failed(self, subscription: Subscription, error: StellarrowError) -> None:
        """Tell a subscription's end, and where it would go on."""
        self._subscriptions.pop(subscription.asked.id, None)
        told = {"code": status_of(error).grpc.lower(), "message": str(error), "resume": subscription.resume}
        self._send("error", id=subscription.asked.id, **told)
        subscription.close()

    def _ready(self) -> None:
        principal = self._grant.principal
        told = {"name": principal.name, "kind": principal.kind, "roles": list(principal.roles)}
        self._send("ready", limits=self._shared.limits.to_dict(), principal=told)

    async def _take(self, event: Any) -> None:
        self._heard = time.monotonic()
        if self._bucket.take(0.0) is None:
            self.close(TOO_FAST, f"more than {MESSAGES_PER_SECOND:g} messages a second")
            return
        given: dict[str, Any] = {}
        try:
            op, given = read(event.get("text") if event.get("text") is not None else event.get("bytes"))
            await self._OPS[op](self, given)
        except StellarrowError as error:
            self._refuse(error, given)
        except Exception:
            _log.exception("unexpected error in a subscription")
            self._refuse(StellarrowError("an unexpected error: the log has more"), given)

    def _refuse(self, error: StellarrowError, given: dict[str, Any]) -> None:
        told: dict[str, Any] = {"code": status_of(error).grpc.lower(), "message": str(error)}
        if isinstance(given.get("id"), str):
            told["id"] = given["id"][:64]
        if isinstance(error, Refused | NotFound) and error.field:
            told["field"] = error.field
        self._send("error", **told)

    async def _auth(self, given: dict[str, Any]) -> None:
        token = given.get("token")
        if not isinstance(token, str) or not token:
            raise Refused("token is missing: give an API key, a token or a ticket", field="token")
        access = self._shared.access
        if access is not None:
            was = self._grant.call
            call = Call("WEBSOCKET /v1/ws", {"authorization": f"Bearer {token}"}, was.address if was else "")
            principal = await run_in_threadpool(access.authenticate, call)
            self._grant = Grant(principal, was, self._grant.request_id)
        self._ready()

    async def _subscribe(self, given: dict[str, Any]) -> None:
        self._permit()
        asked = subscribe_of(given)
        if asked.id in self._subscriptions:
            raise Refused(f"there is a subscription {asked.id!r} already: unsubscribe it", field="id")
        if len(self._subscriptions) >= SUBSCRIPTIONS:
            raise TooManyCalls(f"{SUBSCRIPTIONS} subscriptions are the most of a connection", 1.0)
        channels = self._shared.channels
        channel = channels.open(asked.question, asked.format_name, encoder(asked.format_name))
        try:
            position = channel.tail.place(asked.origin)
        except StellarrowError:
            channels.release(channel)
            raise
        self._numbers += 1
        schema = channel.tail.schema
        self._send(
            "subscribed",
            id=asked.id,
            number=self._numbers,
            schema=[{"name": one.name, "type": str(one.type), "nullable": one.nullable} for one in schema],
            resume=channel.tail.token(position),
            recovered=channel.tail.recovers(position),
        )
        if asked.format_name != "json":
            head = self._numbers.to_bytes(4, "big")
            self.socket.write_frame(binary_frame(head + schema_message(schema)))
        made = Subscription(self, channels, channel, asked=asked, number=self._numbers, position=position)
        self._subscriptions[asked.id] = made
        self._has_subscribed = True

    def _permit(self) -> None:
        access, principal = self._shared.access, self._grant.principal
        if access is not None and not principal.can(Permission.READ_LEDGERS):
            access.permit(self._grant, Permission.READ_LEDGERS)

    async def _credit(self, given: dict[str, Any]) -> None:
        self._subscription(given).add_credit(bytes_of(given, "bytes"))

    async def _unsubscribe(self, given: dict[str, Any]) -> None:
        one = self._subscription(given)
        del self._subscriptions[one.asked.id]
        one.close()
        self._send("unsubscribed", id=one.asked.id, resume=one.resume)

    def _subscription(self, given: dict[str, Any]) -> Subscription:
        name = id_of(given)
        if name not in self._subscriptions:
            raise NotFound(f"there is no subscription {name!r}", field="id")
        return self._subscriptions[name]

    async def _list(self, _: dict[str, Any]) -> None:
        held = [
            {"id": name, "channel": one.asked.channel, "number": one.number, "resume": one.resume}
            for name, one in self._subscriptions.items()
        ]
        self._send("list", subscriptions=held)

    async def _ping(self, _: dict[str, Any]) -> None:
        self._send("pong")

    def _send(self, op: str, **fields: Any) -> None:
        self.socket.write_frame(message(op, **fields))

    def look(self, now: float) -> None:
        """End the connection where it may not go on."""
        limits = self._shared.limits
        if self._is_closing:
            return
        if self._shared.channels.tables.is_closed:
            self.close(RESTARTING, "the server ends: connect again")
        elif self._grant.has_ended():
            self.close(NO_LONGER, "the credential has expired or was revoked")
        elif not self._has_subscribed and now - self._begun > limits.to_begin:
            self.close(TIMED_OUT, f"nothing was subscribed to within {limits.to_begin:g} s")
        elif not self._subscriptions and now - self._heard > limits.idle:
            self.close(TIMED_OUT, f"nothing was asked for {limits.idle:g} s")
        elif self._is_behind(now) and any(one.asked.mode == "all" for one in self._subscriptions.values()):
            self.too_slow()

    def _is_behind(self, now: float) -> bool:
        """Tell whether bytes have been waiting for too long, none of them taken."""
        if self.socket.writable.is_set():
            self._behind_since = None
            return False
        self._behind_since = self._behind_since or now
        return now - self._behind_since > BEHIND_SECONDS

    _OPS: ClassVar[Mapping[str, Callable[[Session, dict[str, Any]], Awaitable[None]]]] = {
        "auth": _auth,
        "subscribe": _subscribe,
        "credit": _credit,
        "unsubscribe": _unsubscribe,
        "list": _list,
        "ping": _ping,
    }
