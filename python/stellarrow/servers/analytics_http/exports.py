"""Exports over REST: ordered, listed, asked about, deleted, and their files downloaded."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final

from stellarrow.analysis.reads.refusals import Refused
from stellarrow.errors import StellarrowError, Unauthenticated
from stellarrow.extras import needing
from stellarrow.security.access import Access, Grant, status_result
from stellarrow.security.permissions import Permission
from stellarrow.servers.analytics_exports.exporter import Exporter
from stellarrow.servers.analytics_http.writing import MEDIA_TYPES
from stellarrow.servers.http_access import grant_of, json_body
from stellarrow.servers.problems import problem

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import Message, Receive, Scope, Send

PATH: Final = "/v1/exports"
ONE: Final = f"{PATH}/{{export}}"
FILE: Final = f"{ONE}/files/{{name}}"
_TARGET: Final = "stellarrow.target"  # what a line of the audit log says it was about

Answer = Callable[[Request], Awaitable[Response]]


class _Ended(Exception):
    """The caller's credential is good no longer."""


class _Download(FileResponse):
    """A file, sent as long as its caller may have it; one that is cut off never looks whole."""

    def __init__(self, grant: Grant, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._grant = grant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if self._grant.has_ended():
                raise _Ended
            await send(message)

        try:
            await super().__call__(scope, receive, guarded)
        except _Ended:
            return


def export_routes(exporter: Exporter, access: Access | None) -> list[Route]:
    """Return the routes of exports."""
    made = _Exports(exporter)
    listed, created = _answering(None, made.list), _answering(access, made.create)
    shown, removed = _answering(None, made.show), _answering(access, made.remove)
    return [
        _route(PATH, GET=listed, POST=created),
        _route(ONE, GET=shown, DELETE=removed),
        _route(FILE, GET=_answering(access, made.download)),
    ]


def _route(path: str, **answers: Answer) -> Route:
    """Return one route of a path, so that the header Allow names all that can be asked of it."""

    async def answer(request: Request) -> Response:
        return await answers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=[*answers])


def _answering(access: Access | None, work: Answer) -> Answer:
    """Translate errors, and note in the audit log what was done to what, where that is due."""

    async def answer(request: Request) -> Response:
        error: StellarrowError | None = None
        try:
            response = await work(request)
        except StellarrowError as raised:
            error = raised
            response = problem(raised, request.scope)
        if access:
            target = str(request.path_params.get("export") or request.scope.get(_TARGET, ""))
            result = status_result(error)
            await run_in_threadpool(access.done, grant_of(request), target=target, result=result)
        return response

    return answer


class _Exports:
    """A caller sees its own exports, administrators all."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    async def list(self, request: Request) -> Response:
        _no_parameters(request)
        jobs = await run_in_threadpool(self._exporter.all, _sees(request))
        return JSONResponse({"exports": [one.to_dict() for one in jobs]})

    async def create(self, request: Request) -> Response:
        _no_parameters(request)
        grant = grant_of(request)
        if grant.call and grant.principal.kind == "anonymous":
            raise Unauthenticated(
                "an export takes disk, so it needs a credential: show an API key or a token"
            )
        given = await json_body(request)
        job = await run_in_threadpool(self._exporter.create, given, _owner(grant))
        request.scope[_TARGET] = job.id
        headers = {"Location": f"{PATH}/{job.id}"}
        return JSONResponse(job.to_dict(), status_code=202, headers=headers)

    async def show(self, request: Request) -> Response:
        _no_parameters(request)
        job = await run_in_threadpool(self._exporter.get, request.path_params["export"], _sees(request))
        return JSONResponse(job.to_dict())

    async def remove(self, request: Request) -> Response:
        _no_parameters(request)
        await run_in_threadpool(self._exporter.remove, request.path_params["export"], _sees(request))
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        _no_parameters(request)
        named = request.path_params
        file, path = await run_in_threadpool(
            self._exporter.file, named["export"], named["name"], _sees(request)
        )
        digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
        kind = file.name.rpartition(".")[2]
        return _Download(
            grant_of(request),
            path,
            media_type=MEDIA_TYPES[kind],
            filename=file.name,
            headers={"ETag": f'"{file.sha256}"', "Repr-Digest": f"sha-256=:{digest}:"},
        )


def _owner(grant: Grant) -> str:
    return f"{grant.principal.kind}:{grant.principal.name}"


def _sees(request: Request) -> str | None:
    """Return whose exports a caller sees, None for everybody's."""
    grant = grant_of(request)
    return None if grant.call is None or grant.can(Permission.ADMIN) else _owner(grant)


def _no_parameters(request: Request) -> None:
    for name in request.query_params:
        raise Refused(f"there is no parameter {name[:80]!r} here: leave it out", field=name[:80])
