"""REST of the lifecycle, for administrators: what is due, a run that goes on by itself, and how it went."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.extras import needing
from stellarrow.security.access import Access, status_result
from stellarrow.servers.http_access import grant_of, json_body
from stellarrow.servers.problems import described, problem

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

PATH: Final = "/v1/admin/lifecycle"
_FRESH: Final = {"Cache-Control": "no-store"}
_STEPS: Final = 1_000  # of a plan, unless asked for otherwise
_MOST_STEPS: Final = 100_000


class Ageing(Protocol):
    """The lifecycle of one place; each answer is what JSON has."""

    def status(self) -> Mapping[str, Any]:
        """Tell what of each table is here, archived, deleted and due, and how the last run went."""

    def plan(self, limit: int) -> Mapping[str, Any]:
        """Name the files that are due, and change nothing."""

    def begin(self, who: str) -> Mapping[str, Any] | None:
        """Begin a run, and tell of it; None where one is at it."""

    def stop(self) -> Mapping[str, Any] | None:
        """Ask the run to end after the step it is at; None where there is none."""

    def last_run(self) -> Mapping[str, Any] | None:
        """Tell of the run that is at it, or of the last one."""


def aging_routes(aging: Ageing, access: Access) -> list[Route]:
    """Return the routes; there are none where nobody proves who they are."""

    async def status(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(aging.status), headers=_FRESH)

    async def plan(request: Request) -> Response:
        limit = _limit(request)
        return JSONResponse(await run_in_threadpool(aging.plan, limit), headers=_FRESH)

    async def last(request: Request) -> Response:
        found = aging.last_run()
        if found is None:
            return described(404, "there was no run since the service began", request.scope)
        return JSONResponse(found, headers=_FRESH)

    async def begin(request: Request) -> Response:
        if given := await json_body(request):
            raise ConfigError(f"{', '.join(sorted(given))} is unknown here: send an empty object")
        begun = await run_in_threadpool(aging.begin, grant_of(request).principal.name)
        if begun is None:
            return described(409, f"a run is at it: GET {PATH}/run tells how far it is", request.scope)
        return JSONResponse(begun, status_code=202, headers=_FRESH)

    async def stop(request: Request) -> Response:
        stopped = await run_in_threadpool(aging.stop)
        if stopped is None:
            return described(404, "no run is at it", request.scope)
        return JSONResponse(stopped, status_code=202, headers=_FRESH)

    return [
        Route(PATH, _answering(status), methods=["GET"]),
        Route(f"{PATH}/plan", _answering(plan), methods=["GET"]),
        Route(f"{PATH}/run", _answering(last), methods=["GET"]),
        Route(f"{PATH}/run", _answering(begin, access), methods=["POST"]),
        Route(f"{PATH}/run", _answering(stop, access), methods=["DELETE"]),
    ]


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", str(_STEPS))
    if unknown := sorted(set(request.query_params) - {"limit"}):
        raise ConfigError(f"there is no parameter {unknown[0][:40]!r}: there is limit")
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= _MOST_STEPS):
        raise ConfigError(f"limit is {text[:40]!r}: it must be from 1 to {_MOST_STEPS}")
    return int(text)


Answer = Callable[[Request], Awaitable[Response]]


def _answering(work: Answer, access: Access | None = None) -> Answer:
    """Translate errors; where `access` is given, the audit log has a line of the call."""

    async def answer(request: Request) -> Response:
        error: StellarrowError | None = None
        try:
            response = await work(request)
        except StellarrowError as raised:
            error = raised
            response = problem(raised, request.scope)
        if access:
            result = (
                status_result(error) if error or response.status_code < 400 else str(response.status_code)
            )
            await run_in_threadpool(access.done, grant_of(request), result=result)
        return response

    return answer


_RUN: Final = {
    "type": "object",
    "required": ["id", "by", "state", "began", "done", "freed_bytes", "problems"],
    "properties": {
        "id": {"type": "integer"},
        "by": {"type": "string"},
        "state": {"type": "string", "enum": ["running", "done", "stopped", "failed"]},
        "began": {"type": "string", "format": "date-time"},
        "ended": {"type": ["string", "null"], "format": "date-time"},
        "done": {"type": "object", "additionalProperties": {"type": "integer"}},
        "freed_bytes": {"type": "integer"},
        "in_use": {"type": "integer"},
        "problems": {"type": "array", "items": {"type": "string"}},
    },
}
_PLAN: Final = {
    "type": "object",
    "required": ["place", "steps", "total_steps", "total_bytes", "problems"],
    "properties": {
        "place": {"type": "string"},
        "steps": {"type": "array", "items": {"type": "object"}},
        "total_steps": {"type": "integer"},
        "total_bytes": {"type": "integer"},
        "problems": {"type": "array", "items": {"type": "string"}},
    },
}
_STATUS: Final = {
    "type": "object",
    "required": ["place", "policies", "tables", "problems"],
    "properties": {
        "place": {"type": "string"},
        "archive": {"type": ["string", "null"]},
        "policies": {"type": "object", "additionalProperties": {"type": "string"}},
        "schedule": {"type": ["string", "null"]},
        "next_run": {"type": ["string", "null"], "format": "date-time"},
        "last_run": {"anyOf": [_RUN, {"type": "null"}]},
        "tables": {"type": "array", "items": {"type": "object"}},
        "problems": {"type": "array", "items": {"type": "string"}},
    },
}


def described_aging() -> dict[str, Any]:
    """Return what the OpenAPI document says of these paths."""
    limit = {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "Steps at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": _MOST_STEPS, "default": _STEPS},
    }
    empty = {"required": False, "content": {"application/json": {"schema": {"type": "object"}}}}
    return {
        PATH: {"get": _told("lifecycle", "What is here, archived, deleted and due", _STATUS)},
        f"{PATH}/plan": {
            "get": {**_told("lifecycle_plan", "Each file that is due", _PLAN), "parameters": [limit]}
        },
        f"{PATH}/run": {
            "get": _told("lifecycle_run", "The run that is at it, or the last one", _RUN, none="404"),
            "post": {
                **_told("begin_lifecycle_run", "Begin a run", _RUN, status="202", none="409"),
                "requestBody": empty,
            },
            "delete": _told("stop_lifecycle_run", "End it after this step", _RUN, status="202", none="404"),
        },
    }


def _told(name: str, summary: str, schema: Any, *, status: str = "200", none: str = "") -> dict[str, Any]:
    refused = {"400", "401", "403", "429", "500", "503"} | ({none} & {"404"})
    responses: dict[str, Any] = {
        status: {"description": summary, "content": {"application/json": {"schema": schema}}},
        **{one: {"$ref": f"#/components/responses/{one}"} for one in sorted(refused)},
    }
    if none == "409":
        responses[none] = {"description": "A run is at it."}
    return {"summary": summary, "operationId": name, "tags": ["lifecycle"], "responses": responses}
