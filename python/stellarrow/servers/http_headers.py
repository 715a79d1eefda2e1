"""What every HTTP answer tells a browser, and the name a request goes by in logs and answers."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import Final

from stellarrow.extras import needing

with needing("HTTP", "servers"):
    from starlette.requests import ClientDisconnect
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


REQUEST_ID: Final = "stellarrow.request_id"
_ID: Final = re.compile(rb"[A-Za-z0-9._\-]{1,64}")
_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ALWAYS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-permitted-cross-domain-policies", b"none"),
    (b"x-dns-prefetch-control", b"off"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", _POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_WITH_TLS: Final = ((b"strict-transport-security", b"max-age=63072000; includeSubDomains"),)


def always(*, tls: bool) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of every answer, which say nothing of the request."""
    return (*_ALWAYS, *(_WITH_TLS if tls else ()))


class Headers:
    """Adds what a route has not said itself. It goes around all else, so that errors have them, too."""

    def __init__(self, app: ASGIApp, *, tls: bool) -> None:
        self._app = app
        self._always = always(tls=tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        harmless = len(given) == 1 and _ID.fullmatch(given[0])
        request_id = given[0].decode() if harmless else secrets.token_hex(8)
        scope[REQUEST_ID] = request_id
        added = (*self._always, (b"x-request-id", request_id.encode()))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message.get("headers", ())}
                own = [(name, value) for name, value in added if name not in there]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        with suppress(ClientDisconnect):  # before the body had come: nobody is left to answer
            await self._app(scope, receive, sending)
