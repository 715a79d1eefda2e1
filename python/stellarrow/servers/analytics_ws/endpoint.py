"""The WebSocket's route: who may connect is decided before the upgrade."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from stellarrow.errors import StellarrowError
from stellarrow.extras import needing
from stellarrow.security.access import Access
from stellarrow.servers.analytics_live import Channels
from stellarrow.servers.analytics_ws.limits import Doors
from stellarrow.servers.analytics_ws.session import Session, Shared
from stellarrow.servers.analytics_ws.watching import Watch
from stellarrow.servers.http_access import grant_of
from stellarrow.servers.origins import check_origin
from stellarrow.servers.problems import problem

with needing("WebSocket", "analytics"):
    from starlette.routing import WebSocketRoute
    from starlette.types import Receive
    from starlette.websockets import WebSocket

PATH = "/v1/ws"
SUBPROTOCOL = "stellarrow.v1"


def websocket_route(
    channels: Channels, doors: Doors, access: Access | None, origins: tuple[str, ...]
) -> WebSocketRoute:
    """Return the route of one listener; connections of all of them are counted together."""
    shared = Shared(channels, access, doors.limits, Watch())

    async def connect(websocket: WebSocket) -> None:
        scope, grant = websocket.scope, grant_of(websocket)
        client = scope.get("client")
        address = grant.call.address if grant.call else (client[0] if client else "")
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            check_origin(headers, origins)
            with ExitStack() as place:
                place.enter_context(doors.entered(address))
                await websocket.receive()  # the request to connect
                offered = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
                await websocket.send({"type": "websocket.accept", "subprotocol": offered})
                socket = scope["state"]["socket"]
                socket.session = _in_place(Session(shared, socket, grant), place.pop_all())
        except StellarrowError as error:
            await problem(error, scope)(scope, websocket._receive, websocket._send)  # noqa: SLF001  no upgrade

    return WebSocketRoute(PATH, connect)


def _in_place(session: Session, place: ExitStack) -> Callable[[Receive], Awaitable[None]]:
    """Return what runs a session while its place is held."""

    async def run(receive: Receive) -> None:
        with place:
            await session.run(receive)

    return run
