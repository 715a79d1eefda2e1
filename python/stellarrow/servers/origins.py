"""Web pages of other places: browsers let any page connect to anything, and send what needs no leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from stellarrow.errors import PermissionDenied
from stellarrow.extras import needing
from stellarrow.servers.problems import problem

with needing("HTTP", "servers"):
    from starlette.types import ASGIApp, Receive, Scope, Send

_HARMLESS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_CREDENTIALS: Final = ("authorization", "x-api-key")  # no page of another place can set them unasked


def check_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Raise PermissionDenied for a web page of another place."""
    origin = headers.get("origin")
    if origin is None or origin in allowed or "*" in allowed:
        return
    if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise PermissionDenied(f"pages of {origin[:100]} may not do this: name it in CORS_ORIGINS")


class ChangesOfOwnPages:
    """Refuses what changes something where a page of another place sends it without a credential."""

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _HARMLESS:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if not any(name in headers for name in _CREDENTIALS):
                try:
                    check_origin(headers, self._allowed)
                except PermissionDenied as error:
                    await problem(error, scope)(scope, receive, send)
                    return
        await self._app(scope, receive, send)
