"""Every HTTP request asks `security` first: who calls, from where, and whether they may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stellarrow.analysis.reads.refusals import Refused
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.extras import needing
from stellarrow.net.bounded_json import KeyTwice, read_object
from stellarrow.net.redaction import shortened
from stellarrow.security.access import OPEN, Access, Grant
from stellarrow.security.permissions import check_named
from stellarrow.security.principal import Call, headers_of
from stellarrow.servers.http_headers import REQUEST_ID
from stellarrow.servers.problems import problem

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import HTTPConnection, Request
    from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

_UNKNOWN: Final = "GET /metrics"  # what is not there needs as much as what is there
_BODY_BYTES: Final = 64 << 10
_GRANT: Final = "stellarrow.grant"


def grant_of(request: HTTPConnection) -> Grant:
    """Return what was granted to a request."""
    grant: Grant = request.scope.get(_GRANT, OPEN)
    return grant


def calls_of(routes: Sequence[BaseRoute]) -> list[str]:
    """Return the calls that routes offer, as the table of permissions names them.

    What is neither a route nor a WebSocket, such as a mounted application, is refused: it has no name there.
    """
    return [call for route in routes for call in _calls(route)]


def _calls(route: BaseRoute) -> list[str]:
    if isinstance(route, WebSocketRoute):
        return [f"WEBSOCKET {route.path}"]
    if not isinstance(route, Route):
        raise ConfigError(f"{type(route).__name__} has no permission: serve it by routes, each with its path")
    return [f"{method} {route.path}" for method in sorted(set(route.methods or ()) - {"HEAD"})]


class Guarded:
    """Lets a request through to the route it is for, or answers why not."""

    def __init__(self, app: ASGIApp, *, access: Access, routes: Sequence[BaseRoute]) -> None:
        check_named(calls_of(routes))
        self._app = app
        self._access = access
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            call = self._call(scope)
            if self._access.may_wait(call):
                grant = await run_in_threadpool(self._access.admit, call)
            else:
                grant = self._access.admit(call)
        except StellarrowError as error:
            await problem(error, scope)(scope, receive, send)
            return
        scope[_GRANT] = grant
        await self._app(scope, receive, send)

    def _call(self, scope: Scope) -> Call:
        pairs: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            pairs.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        client = scope.get("client")
        certificate = scope.get("state", {}).get("certificate")
        headers = {**headers_of(pairs), "x-request-id": scope.get(REQUEST_ID, "")}
        return Call(self._name(scope), headers, client[0] if client else "", certificate)

    def _name(self, scope: Scope) -> str:
        method = scope.get("method", "WEBSOCKET")
        for route in self._routes:
            if isinstance(route, Route | WebSocketRoute) and route.matches(scope)[0] is Match.FULL:
                return f"{'GET' if method == 'HEAD' else method} {route.path}"
        return _UNKNOWN


async def json_body(request: Request) -> dict[str, Any]:
    """Return a request's JSON object, of bounded size and depth."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ConfigError("a compressed body is not taken: send it plain")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _BODY_BYTES:
            raise ConfigError(f"the body has more than {_BODY_BYTES} bytes")
    try:
        return read_object(body or b"{}", "the body", largest=_BODY_BYTES)
    except KeyTwice as error:
        raise Refused(str(error), field=shortened(error.key)) from error
