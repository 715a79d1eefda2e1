"""The web page: its files, read once and kept compressed, and the paths at which it shows itself.

The page is plain HTML, CSS and JavaScript modules; `vendor/` has uPlot 1.6.32 (MIT) and Flechette 2.7.0 (BSD)
as their authors publish them. It asks REST for everything it shows, so its own files need no permission.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from stellarrow.extras import needing
from stellarrow.servers.problems import described

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute, Route

_FILES: Final = "/page/{name:path}"
# Where the page shows itself; what stands behind a name is the page's own to read.
PATHS: Final = (
    "/",
    "/feed",
    "/assets",
    "/assets/{name:path}",
    "/accounts/{name:path}",
    "/contracts/{name:path}",
    "/ledgers/{name:path}",
    "/sql",
    "/coverage",
    "/terms",
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


@dataclass(frozen=True, slots=True)
class File:
    """One of the page's files, as it is sent."""

    kind: str
    plain: bytes
    zipped: bytes
    etag: str


@cache
def page_files() -> dict[str, File]:
    """Return the page's files by the path below its folder."""
    return dict(_below(files(__package__) / "page", ""))


def page_routes() -> list[BaseRoute]:
    """Return the routes of the page and of its files."""
    return [*(Route(path, _show, methods=["GET"]) for path in PATHS), Route(_FILES, _send, methods=["GET"])]


def _below(folder: Traversable, before: str) -> list[tuple[str, File]]:
    found = []
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        name = f"{before}{one.name}"
        if one.is_dir():
            found += _below(one, f"{name}/")
        else:
            found.append((name, _file(name, one.read_bytes())))
    return found


def _file(name: str, data: bytes) -> File:
    ending = name[name.rfind(".") :]
    kind = _KINDS.get(ending) or mimetypes.guess_type(name)[0] or "text/plain"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return File(kind, data, gzip.compress(data, mtime=0), f'"{hashlib.sha256(data).hexdigest()[:20]}"')


async def _show(request: Request) -> Response:
    return _answer(request, page_files()["index.html"])


async def _send(request: Request) -> Response:
    file = page_files().get(request.path_params["name"])
    return (
        _answer(request, file)
        if file
        else described(404, f"there is nothing at {request.url.path}", request.scope)
    )


def _answer(request: Request, file: File) -> Response:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if file.kind.startswith("text/html"):
        headers["Content-Security-Policy"] = _POLICY
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.zipped, media_type=file.kind, headers=headers | {"Content-Encoding": "gzip"})
    return Response(file.plain, media_type=file.kind, headers=headers)
