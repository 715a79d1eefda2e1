"""What administrators do over HTTP: API keys and the log's level; and tickets for who is known."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from stellarrow.errors import ConfigError, PermissionDenied, StellarrowError
from stellarrow.extras import needing
from stellarrow.net.redaction import shortened
from stellarrow.security.access import Access, status_result
from stellarrow.security.api_keys import DEFAULT_DAYS, read_span, to_dict
from stellarrow.security.key_store import KeyStore
from stellarrow.security.tickets import SECONDS
from stellarrow.servers.http_access import grant_of, json_body
from stellarrow.servers.problems import problem
from stellarrow.telemetry import logs

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

_TARGET: Final = "stellarrow.target"  # what a line of the audit log says it was about
_DAY: Final = 86_400.0
_CREATE: Final = ("key_id", "roles", "description", "expires_at", "allowed_networks")

Answer = Callable[[Request], Awaitable[Response]]


def routes(store: KeyStore | None, access: Access) -> list[Route]:
    """Return the routes of tickets, of the log's level, and of a store's keys."""

    async def ticket(request: Request) -> Response:
        grant = grant_of(request)
        if grant.call and access.tickets.is_shown_by(grant.call):
            error = PermissionDenied("a ticket gives no other: show the credential itself")
            return problem(error, request.scope)
        made = access.tickets.issue(grant.principal)
        answer = {"ticket": made, "expires_in": SECONDS}
        return JSONResponse(answer, status_code=201, headers={"Cache-Control": "no-store"})

    path = "/v1/admin/log-level"
    always = [
        Route("/v1/tickets", ticket, methods=["POST"]),
        Route(path, _show_level, methods=["GET"]),
        Route(path, _answering(access, _set_level), methods=["POST"]),
    ]
    return always if store is None else [*always, *_of_keys(store, access)]


async def _show_level(_: Request) -> Response:
    return JSONResponse({"level": logs.level()})


async def _set_level(request: Request) -> Response:
    given = await json_body(request)
    _check_keys(given, ("level",))
    level = given.get("level")
    if level not in logs.LEVELS:
        raise ConfigError(f"level is {shortened(repr(level))}: it must be {', '.join(logs.LEVELS)}")
    request.scope[_TARGET] = level
    logs.set_level(level)
    return JSONResponse({"level": level})


def _of_keys(store: KeyStore, access: Access) -> list[Route]:
    keys = _Keys(store)
    path = "/v1/admin/api-keys"
    return [
        Route(path, _answering(access, keys.create), methods=["POST"]),
        Route(path, _answering(access, keys.list), methods=["GET"]),
        Route(f"{path}/{{key_id}}", _answering(access, keys.show), methods=["GET"]),
        Route(f"{path}/{{key_id}}/rotate", _answering(access, keys.rotate), methods=["POST"]),
        Route(f"{path}/{{key_id}}", _answering(access, keys.revoke), methods=["DELETE"]),
    ]


def _answering(access: Access, work: Answer) -> Answer:
    """Translate errors, and note in the audit log what was done to what."""

    async def answer(request: Request) -> Response:
        error: StellarrowError | None = None
        try:
            response = await work(request)
        except StellarrowError as raised:
            error = raised
            response = problem(raised, request.scope)
        target = str(request.path_params.get("key_id") or request.scope.get(_TARGET, ""))
        await run_in_threadpool(access.done, grant_of(request), target=target, result=status_result(error))
        return response

    return answer


class _Keys:
    """What can be asked and done; the text of a key is in one answer, once."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store

    async def create(self, request: Request) -> Response:
        given = await json_body(request)
        _check_keys(given, _CREATE)
        key_id, roles = given.get("key_id"), given.get("roles")
        if not isinstance(key_id, str):
            raise ConfigError("key_id is missing: give the key a name")
        request.scope[_TARGET] = key_id
        key, text = await run_in_threadpool(
            self._store.create,
            key_id,
            _texts(roles, "roles"),
            created_by=grant_of(request).principal.name,
            description=_text(given.get("description", ""), "description"),
            expires_at=_moment(given["expires_at"]) if "expires_at" in given else _in_90_days(),
            allowed_networks=_texts(given.get("allowed_networks") or [], "allowed_networks"),
        )
        return JSONResponse({**to_dict(key), "api_key": text}, status_code=201)

    async def list(self, _: Request) -> Response:
        held = await run_in_threadpool(self._store.entries)
        return JSONResponse({"api_keys": [to_dict(key) for key in held]})

    async def show(self, request: Request) -> Response:
        return JSONResponse(to_dict(await run_in_threadpool(self._store.get, request.path_params["key_id"])))

    async def rotate(self, request: Request) -> Response:
        given = await json_body(request)
        _check_keys(given, ("overlap",))
        overlap = read_span(_text(given.get("overlap", "24h"), "overlap"), "overlap")
        key, text = await run_in_threadpool(
            lambda: self._store.rotate(request.path_params["key_id"], overlap=overlap)
        )
        return JSONResponse({**to_dict(key), "api_key": text})

    async def revoke(self, request: Request) -> Response:
        await run_in_threadpool(self._store.revoke, request.path_params["key_id"])
        return Response(status_code=204)


def _in_90_days() -> float:
    return time.time() + DEFAULT_DAYS * _DAY


def _moment(given: Any) -> float | None:
    """Read a time as RFC 3339 writes it; null never comes."""
    if given is None:
        return None
    try:
        read = datetime.fromisoformat(given)
        if read.tzinfo is None:
            raise ValueError(given)
        return read.timestamp()
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"expires_at is {shortened(repr(given))}: write a time such as 2030-01-31T00:00:00Z, or null"
            " for never"
        ) from error


def _check_keys(given: dict[str, Any], known: tuple[str, ...]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"{', '.join(unknown)} is unknown here: use {', '.join(known)}")


def _text(given: Any, name: str) -> str:
    if not isinstance(given, str):
        raise ConfigError(f"{name} must be a text")
    return given


def _texts(given: Any, name: str) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise ConfigError(f"{name} must be a list of texts")
    return given
