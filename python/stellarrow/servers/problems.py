"""Errors as application/problem+json (RFC 9457): a sentence, the field that is wrong, the request's id."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from stellarrow.analysis.reads.refusals import FellOut, NotFound, Refused
from stellarrow.errors import StellarrowError, TooManyCalls, Unauthenticated, Unavailable
from stellarrow.extras import needing
from stellarrow.servers.http_headers import REQUEST_ID, always
from stellarrow.servers.status import status_of

with needing("HTTP", "servers"):
    from starlette.exceptions import HTTPException
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.types import Scope

MEDIA_TYPE: Final = "application/problem+json"


def problem(error: StellarrowError, scope: Scope) -> Response:
    """Return an error as an answer; what the caller should do next is in the headers, too."""
    status = status_of(error).http
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="stellarrow"'
    if isinstance(error, TooManyCalls | Unavailable):
        headers["Retry-After"] = str(math.ceil(error.retry_after or 1))
    field = error.field if isinstance(error, Refused | NotFound) else ""
    gaps = error.gaps if isinstance(error, FellOut) else ()
    return described(status, str(error), scope, field=field, headers=headers, gaps=gaps)


def described(
    status: int,
    sentence: str,
    scope: Scope,
    *,
    field: str = "",
    headers: dict[str, str] | None = None,
    gaps: Sequence[Mapping[str, Any]] = (),
) -> Response:
    """Return what is wrong as an answer; `gaps` are ledgers that left, and where they are."""
    told = _document(status, sentence, scope.get(REQUEST_ID, ""))
    if field:
        told["field"] = field
    if gaps:
        told["gaps"] = list(gaps)
    return JSONResponse(told, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def refusal(status: int, sentence: str, *, tls: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers and the body of an answer to what is no request, which no application sees."""
    request_id = secrets.token_hex(8)
    body = json.dumps(_document(status, sentence, request_id)).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
        *always(tls=tls),
    ]
    return headers, body


def _document(status: int, sentence: str, request_id: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence,
        "error": sentence,  # the name that it had before
        "request_id": request_id,
    }


async def answered_exception(request: Request, error: Exception) -> Response:
    """Answer where no route fits."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    sentence = {
        404: f"there is nothing at {request.url.path[:200]}",
        405: f"{request.method} cannot be asked of {request.url.path[:200]}",
    }.get(status, HTTPStatus(status).phrase)
    return described(status, sentence, request.scope, headers=headers)
