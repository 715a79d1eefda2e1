"""The web page: its files, read once and kept compressed, and the paths at which it shows itself.

The page is plain HTML, CSS and JavaScript modules; `vendor/` has uPlot 1.6.32 (MIT) and Flechette 2.7.0 (BSD)
as their authors publish them. It asks REST for everything it shows, so its own files need no permission.

Its HTML names them below a folder of their version, so that browsers keep them for ever; and it names ahead
what the page of a path will ask for, so that all of it comes in one round trip behind the HTML.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, partial
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
_HTML: Final = "index.html"
# Where the page shows itself, and by which of `views/`; what stands behind a name is the page's own to read.
PATHS: Final = {
    "/": "overview",
    "/feed": "feed",
    "/assets": "assets",
    "/assets/{name:path}": "asset",
    "/accounts/{name:path}": "account",
    "/contracts/{name:path}": "contract",
    "/ledgers/{name:path}": "ledger",
    "/sql": "sql",
    "/coverage": "coverage",
    "/terms": "terms",
}
_STATUS: Final = "/v1/status"  # every view begins with it
_FIRST: Final = {"overview": {"ledgers": "/v1/ledgers?limit=90"}}  # what else, if there is that table
_IMPORTED: Final = re.compile(r'^import (?:[^;]* from )?"(\.{1,2}/[^"]+)";$', re.MULTILINE)
_AHEAD: Final = "<!-- ahead -->"
_KEPT: Final = "public, max-age=31536000, immutable"
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


@cache
def version() -> str:
    """Return what names the files as they are: any change of one is another version."""
    digest = hashlib.sha256()
    for name, file in sorted(page_files().items()):
        digest.update(f"{name} {file.etag} ".encode())
    return digest.hexdigest()[:16]


def page_routes(tables: Collection[str] = (), *, is_open: bool = False) -> list[BaseRoute]:
    """Return the routes of the page and of its files.

    Where all may ask (`is_open`) the browser is told of the first questions, too, of those of the `tables`.
    """
    shown = {name: _html(name, [*_questions(name, tables)] if is_open else []) for name in PATHS.values()}
    views = [
        Route(path, partial(_show, html=shown[name]), methods=["GET"], name=name)
        for path, name in PATHS.items()
    ]
    return [*views, Route(_FILES, _send, methods=["GET"])]


def _questions(view: str, tables: Collection[str]) -> Iterator[str]:
    yield _STATUS
    yield from (path for table, path in _FIRST.get(view, {}).items() if table in tables)


def _html(view: str, questions: list[str]) -> File:
    """Return the HTML of a view."""
    folder = f"/page/v/{version()}"
    modules = sorted(_modules("app.js") | _modules(f"views/{view}.js"))
    # The page's own requests must be alike: of its own origin, with CORS, or the browser asks twice.
    ahead = [f'<link rel="preload" as="fetch" href="{one}" crossorigin>' for one in questions]
    ahead += [f'<link rel="modulepreload" href="/page/{one}">' for one in modules]
    text = page_files()[_HTML].plain.decode().replace(_AHEAD, "\n".join(ahead))
    return _file(_HTML, text.replace('"/page/', f'"{folder}/').encode())


def _modules(name: str) -> set[str]:
    """Return a module and all that it imports before it runs."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            imported = _IMPORTED.findall(page_files()[one].plain.decode())
            waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(one), path)) for path in imported]
    return found


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


async def _show(request: Request, html: File) -> Response:
    return _answer(request, html)


async def _send(request: Request) -> Response:
    name = request.path_params["name"]
    of, _, rest = name.removeprefix("v/").partition("/")
    is_versioned = name.startswith("v/")
    file = page_files().get(rest if is_versioned else name)
    if file is None:
        return described(404, f"there is nothing at {request.url.path}", request.scope)
    # A page of another version, opened before or from another server, gets what there is, and keeps nothing.
    return _answer(request, file, is_kept=is_versioned and of == version())


def _answer(request: Request, file: File, *, is_kept: bool = False) -> Response:
    headers = {
        "ETag": file.etag,
        "Cache-Control": _KEPT if is_kept else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if file.kind.startswith("text/html"):
        headers["Content-Security-Policy"] = _POLICY
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.zipped, media_type=file.kind, headers=headers | {"Content-Encoding": "gzip"})
    return Response(file.plain, media_type=file.kind, headers=headers)
