"""The reference at /docs: a page made from the endpoints, which asks no other host for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

from stellarrow.extras import needing
from stellarrow.servers.analytics_http.endpoint import Endpoint
from stellarrow.servers.analytics_http.parameters import Parameter

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import BaseRoute, Route

_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 0.9em ui-monospace, monospace }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0 }
th, td { border-bottom: 1px solid #8884 }
pre { background: #8881; padding: 0.5rem; overflow-x: auto }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #8886 }
h3 code { font-size: 1.05em }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'; base-uri 'none';"
    " form-action 'none'"
)


def reference_routes(endpoints: Sequence[Endpoint], document: dict[str, Any]) -> list[BaseRoute]:
    """Return the routes of the OpenAPI document and of the reference."""
    described = json.dumps(document, ensure_ascii=False).encode()
    page = "".join(_page(endpoints)).encode()

    async def openapi(_: Request) -> Response:
        return Response(described, media_type="application/json")

    async def reference(_: Request) -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY})

    return [Route("/openapi.json", openapi), Route("/docs", reference)]


def _page(endpoints: Sequence[Endpoint]) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield "<title>stellarrow: REST reference</title>"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body><main><h1>REST reference</h1>"
    yield "<p>Every answer is as of one ledger, and says which. Amounts and other 64-bit numbers are texts."
    yield " Errors are <code>application/problem+json</code> with a sentence and the field that is wrong."
    yield ' For programs: <a href="/openapi.json">openapi.json</a>.</p>'
    tag = ""
    for one in endpoints:
        if one.tag != tag:
            tag = one.tag
            yield f"<h2>{escape(tag.capitalize())}</h2>"
        yield from _endpoint(one)
    yield "</main></body></html>"


def _endpoint(one: Endpoint) -> Iterator[str]:
    yield f"<h3><code>{one.method} {escape(one.path)}</code></h3><p>{escape(one.summary)}."
    yield f" {escape(one.description)}</p>" if one.description else "</p>"
    if one.taken:
        yield "<table><thead><tr><th>Parameter</th><th>Values</th><th>Meaning</th></tr></thead><tbody>"
        for parameter in one.taken:
            said = escape(parameter.description)
            yield f"<tr><td><code>{escape(parameter.name)}</code></td><td>{_values(parameter)}</td>"
            yield f"<td>{said}</td></tr>"
        yield "</tbody></table>"


def _values(one: Parameter) -> str:
    if one.words:
        told = ", ".join(f"<code>{escape(word)}</code>" for word in one.words)
    elif one.least is not None:
        told = f"{one.least} to {one.most}"
    else:
        told = "a list with commas" if one.is_list else "text"
    default = "" if one.default is None else f"; <code>{escape(str(one.default))}</code> by default"
    return told + default
