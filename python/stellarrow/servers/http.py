"""HTTP: how a service is, whether it is ready, and its metrics."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from stellarrow.core.version import __version__
from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.net.address import Address
from stellarrow.protocols import Guarded, ServerState
from stellarrow.security.access import BACKLOG, Access, bound, guarded
from stellarrow.security.key_store import KeyStore
from stellarrow.security.permissions import Permission
from stellarrow.security.tls import Tls
from stellarrow.telemetry.beside import Beside, merged
from stellarrow.telemetry.health import Check, Component, Part
from stellarrow.telemetry.machine import Machine

with needing("HTTP", "servers"):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import BaseRoute, Route
    from starlette.types import ASGIApp

    from stellarrow.servers import admin_http
    from stellarrow.servers.http_access import Guarded as GuardedApp
    from stellarrow.servers.http_access import calls_of, grant_of
    from stellarrow.servers.http_headers import Headers
    from stellarrow.servers.http_limits import CONNECTIONS, HEAD_BYTES, BoundedLoop, BriefFaults, bounded
    from stellarrow.servers.one_reading import OneReading
    from stellarrow.servers.origins import ChangesOfOwnPages, OwnNames
    from stellarrow.servers.problems import answered_exception

_START_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 4.0  # uvicorn lets requests take two
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


def guards_of(source: object) -> list[Component]:
    """Return what /health shows of the servers a source or sink talks to."""
    guards = source.guards if isinstance(source, Guarded) else ()
    return [Part(partial(_guarded, guard)) for guard in guards]


def _guarded(guard: ServerState) -> Check:
    message = str(guard.last_error or "")
    is_well = guard.state == "closed" and not message
    return Check(guard.name, is_well, message, {"circuit_breaker": guard.state}, essential=False)


class HealthServer:
    """Serve /health, /health/live, /health/ready, /ready, /metrics and what else is given, from a thread.

    `ready` is set by the service when it can do its work, and cleared while it drains. `metrics` returns
    Prometheus text. It listens once made; start() lets it answer.
    """

    def __init__(
        self,
        address: Address,
        components: Iterable[Component] = (),
        *,
        ready: threading.Event,
        metrics: Callable[[], bytes] | None = None,
        routes: Sequence[BaseRoute] = (),
        tls: Tls | None = None,
        access: Access | None = None,
        keys: KeyStore | None = None,
        cors_origins: Sequence[str] = (),
        allowed_hosts: Sequence[str] = (),
        insecure: bool = False,
        state_dir: Path | None = None,
        sockets: int = 0,
    ) -> None:
        self._components = tuple(components)
        self._beside: list[Beside] = []
        self._ready = ready
        self._metrics = metrics
        self._machine = Machine(
            __version__, self._checks, state_dir=state_dir, expires_at=tls.expires_at if tls else None
        )
        self._began = time.monotonic()
        guarded(address, tls=tls, access=access, insecure=insecure)
        names = [] if access else [Middleware(OwnNames, bound=address.host, allowed=tuple(allowed_hosts))]
        app = self._guarded_app(self._routes(routes, access, keys), access, cors_origins, tls, names)
        config = _config(app, tls, sockets)
        self._socket = bound(address)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="stellarrow-http", daemon=True)

    def speak_for(self, *services: Beside) -> None:
        """Show other services of the process too: all are ready, or none is."""
        self._beside += services

    @property
    def address(self) -> Address:
        """Where it listens, with the port it was given."""
        host, port = self._socket.getsockname()[:2]
        return Address(host, port)

    def start(self) -> None:
        """Return once requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ConfigError(f"the HTTP server on {self.address} did not start: see the log above")
            time.sleep(0.005)

    def close(self) -> None:
        """Answer what is being asked, then stop; twice is harmless."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)  # a request that hangs is not waited for
        self._socket.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=BoundedLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(BriefFaults())
        await self._server.serve(sockets=[self._socket])

    def _routes(
        self, routes: Sequence[BaseRoute], access: Access | None, keys: KeyStore | None
    ) -> list[BaseRoute]:
        own = [
            Route("/health", self._health),
            Route("/health/live", _live),
            Route("/health/ready", self._readiness),
            Route("/ready", self._readiness),
            Route("/metrics", self._text),
        ]
        return [*own, *routes, *(admin_http.routes(keys, access) if access else [])]

    def _guarded_app(
        self,
        routes: list[BaseRoute],
        access: Access | None,
        origins: Sequence[str],
        tls: Tls | None,
        first: Sequence[Middleware],
    ) -> Headers:
        """Return the application; what is first in the list sees a request first."""
        self.calls = tuple(calls_of(routes))
        guards = [*first]
        if origins:
            guards.append(
                Middleware(
                    CORSMiddleware,
                    allow_origins=list(origins),
                    allow_methods=["GET", "POST", "DELETE"],
                    allow_headers=["Authorization", "X-API-Key", "Content-Type", "X-Request-ID"],
                    expose_headers=["Retry-After", "X-Request-ID"],
                )
            )
        guards.append(Middleware(ChangesOfOwnPages, allowed=tuple(origins)))
        if access:
            guards.append(Middleware(GuardedApp, access=access, routes=routes))
        made = Starlette(
            routes=routes, middleware=guards, exception_handlers={HTTPException: answered_exception}
        )
        made.router.redirect_slashes = False  # it would name the host that the caller named
        return Headers(OneReading(made), tls=tls is not None)

    def _checks(self) -> list[Check]:
        own = [component.check() for component in self._components]
        return [*own, *(check for one in self._beside for check in one.checks())]

    def _health(self, request: Request) -> Response:
        checks = self._checks()
        status = _status(checks)
        report: dict[str, object] = {"status": status}
        if grant_of(request).can(Permission.READ_METRICS):
            report |= {
                "version": __version__,
                "uptime": round(time.monotonic() - self._began, 3),
                "components": {check.name: check.to_dict() for check in checks},
            }
        return JSONResponse(report, status_code=503 if status == "unhealthy" else 200)

    async def _readiness(self, _: Request) -> Response:
        ready = self._ready.is_set() and all(one.ready.is_set() for one in self._beside)
        return JSONResponse({"status": "ready" if ready else "not ready"}, status_code=200 if ready else 503)

    def _text(self, _: Request) -> Response:
        own = self._metrics() if self._metrics else b""
        if self._beside:
            own = merged(own, {one.name: one.metrics() for one in self._beside})
        return Response(own + self._machine.text(), media_type=_PROMETHEUS)


def _config(app: ASGIApp, tls: Tls | None, sockets: int) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=bounded(CONNECTIONS + sockets),
        **_websocket(sockets),
        h11_max_incomplete_event_size=HEAD_BYTES,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    if tls:
        config.load()  # or it would be loaded later, and forget the context
        config.ssl = tls.context()
    return config


def _websocket(sockets: int) -> dict[str, Any]:
    """Return how WebSockets are spoken, where so many may connect; packing them costs too much memory."""
    if not sockets:
        return {"ws": "none"}
    from stellarrow.servers.analytics_ws.frames import SocketProtocol  # noqa: PLC0415  an extra
    from stellarrow.servers.analytics_ws.limits import MESSAGE_BYTES, PING_SECONDS  # noqa: PLC0415  with it

    return {
        "ws": SocketProtocol,
        "ws_max_size": MESSAGE_BYTES,
        "ws_per_message_deflate": False,
        "ws_ping_interval": PING_SECONDS,
        "ws_ping_timeout": PING_SECONDS,
    }


async def _live(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


def _status(checks: Iterable[Check]) -> str:
    bad = [check for check in checks if not check.healthy]
    if any(check.essential for check in bad):
        return "unhealthy"
    return "degraded" if bad else "healthy"
