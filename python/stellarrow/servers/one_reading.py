"""Requests that a proxy in front may read otherwise than we do: refused, or brought into the one form."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from stellarrow.extras import needing

with needing("HTTP", "servers"):
    from starlette.types import ASGIApp, Receive, Scope, Send

from stellarrow.servers.problems import described

# RFC 9112, 3.2.2: a server takes it, and the host that it names counts instead of the header's.
_ABSOLUTE: Final = re.compile(rb"https?://(?P<host>[^/?#@\s]+)(?P<path>/.*)?", re.IGNORECASE | re.DOTALL)
_BOTH: Final = "the request says its length twice, by Content-Length and Transfer-Encoding: send one of them"


class OneReading:
    """Ends connections whose request has two lengths; takes http://HOST/PATH for PATH, asked of HOST."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            names = [name for name, _ in scope["headers"]]
            if b"transfer-encoding" in names and b"content-length" in names:
                answer = described(400, _BOTH, scope, headers={"connection": "close"})
                await answer(scope, receive, send)
                return
            if not scope["path"].startswith("/") and (found := _ABSOLUTE.fullmatch(scope["raw_path"])):
                _use(scope, found["host"], found["path"] or b"/")
        await self._app(scope, receive, send)


def _use(scope: Scope, host: bytes, path: bytes) -> None:
    scope["path"] = unquote(path.decode("ascii"))
    scope["raw_path"] = path
    scope["headers"] = [(b"host", host), *(one for one in scope["headers"] if one[0] != b"host")]
