"""Web pages of other places: browsers let any page connect to anything, and send what needs no leave.

They take a page whose name DNS points here for one of ours: what it asks for names its host, not this one.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from stellarrow.errors import PermissionDenied
from stellarrow.extras import needing
from stellarrow.servers.problems import described, problem

with needing("HTTP", "servers"):
    from starlette.types import ASGIApp, Receive, Scope, Send

_HARMLESS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_EVERY: Final = "*"
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


class OwnNames:
    """Answers what is asked of this server by a name of its own, and refuses what names another host.

    Such names are loopback, the address that it listens on, any address and the machine's name where it
    listens on all, and those that are `allowed`, `*.svc` being all that end so. No browser leaves the host
    out, so what names none is answered.
    """

    def __init__(self, app: ASGIApp, *, bound: str, allowed: Sequence[str]) -> None:
        self._app = app
        self._bound = _name_of(bound) or bound.lower()
        self._is_everywhere = self._bound in ("0.0.0.0", "::", "")  # noqa: S104  compared, not bound
        self._allowed = frozenset(_name_of(one) or one for one in allowed)
        self._ends = tuple(one.lower().removeprefix(_EVERY) for one in allowed if one.startswith(_EVERY))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            for name, value in scope["headers"]:
                if name == b"host" and not self._is_own(host := value.decode("latin-1")):
                    sentence = (
                        f"this server is not {host[:100]!r}: ask for it by its address, or name the host in"
                        " ALLOWED_HOSTS"
                    )
                    await described(421, sentence, scope)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        name = _name_of(host)
        if name is None:
            return False
        if name in self._allowed or name.endswith(self._ends) or name == self._bound:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            is_here = self._is_everywhere and name == socket.gethostname().lower()
            return is_here or name == "localhost" or name.endswith(".localhost")
        return address.is_loopback or self._is_everywhere


def _name_of(host: str) -> str | None:
    """Return a host's name without its port, as it is compared; None where it is none."""
    if "@" in host or "/" in host:
        return None
    is_address = host.count(":") > 1 and not host.startswith("[")
    try:
        name = urlsplit(f"//[{host}]" if is_address else f"//{host}").hostname
    except ValueError:
        return None
    return name.removesuffix(".") if name else None
