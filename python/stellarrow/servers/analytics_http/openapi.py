"""The OpenAPI 3.1 document, made from the endpoints themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.version import __version__
from stellarrow.servers.analytics_exports.asked import FORMATS
from stellarrow.servers.analytics_http.endpoint import Endpoint
from stellarrow.servers.analytics_http.parameters import Parameter
from stellarrow.servers.analytics_http.writing import MEDIA_TYPES
from stellarrow.servers.problems import MEDIA_TYPE

_PROBLEM: Final = {
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, in a sentence."},
        "error": {"type": "string", "description": "The same sentence."},
        "field": {"type": "string", "description": "The parameter that is wrong."},
        "gaps": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Gap"},
            "description": "Of 410: the ledgers that left, and where they are.",
        },
        "request_id": {"type": "string"},
    },
}
_GAP: Final = {
    "type": "object",
    "description": "Ledgers of a table that the lifecycle archived or deleted, or that figures lack yet.",
    "required": ["table", "first_ledger", "last_ledger", "state", "why"],
    "properties": {
        "table": {"type": "string"},
        "first_ledger": {"type": "integer"},
        "last_ledger": {"type": "integer"},
        "state": {"type": "string", "enum": ["archived", "deleted", "uncounted"]},
        "archive": {"type": "string", "description": "Where archived ledgers are: a folder or a URL."},
        "why": {"type": "string", "description": "Where they went and what to do, in a sentence."},
    },
}
_STATUSES: Final = {
    "400": "A parameter makes no sense.",
    "401": "No credential, or not a good one.",
    "403": "The caller may not read ledgers.",
    "404": "There is nothing of that name.",
    "406": "None of the formats that the request accepts is there.",
    "410": "What is asked for, or where the cursor goes on, is no longer kept: gaps says where it went.",
    "422": "A query needs more memory, or has a larger answer, than it may.",
    "429": "Too many calls: see Retry-After.",
    "500": "What is stored cannot be read.",
    "503": "What is asked for is not here now: see Retry-After.",
    "504": "A query takes longer than its timeout.",
}
_PARTS: Final = {
    "206": {"description": "The part that Range asks for."},
    "416": {"description": "The file has no such part."},
}
_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or a token."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
}


def document(
    endpoints: Sequence[Endpoint], schemas: Mapping[str, pa.Schema], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document; `schemas` are the tables' by name, `more` are paths that are no endpoints."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stellarrow analytics",
            "version": __version__,
            "description": "Tables of Stellar's ledgers. Every answer is as of one ledger, and says which."
            " Amounts and other 64-bit numbers are texts.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in endpoints)],
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": {**_paths(endpoints), **more},
        "components": {
            "schemas": {
                "Problem": _PROBLEM,
                "Gap": _GAP,
                **{name: _row(one) for name, one in schemas.items()},
            },
            "responses": {status: _problem(said) for status, said in _STATUSES.items()},
            "securitySchemes": _SECURITY,
        },
    }


def _paths(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for one in endpoints:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return paths


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    verb = f"{endpoint.method.lower()}_" if endpoint.status != "200" else ""
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": verb + _identifier(endpoint.path),
        "tags": [endpoint.tag],
        "parameters": [_parameter(one) for one in endpoint.taken],
        "responses": {endpoint.status: _answer(endpoint)},
    }
    if endpoint.method == "GET":
        operation["responses"]["304"] = {"description": "Nothing changed since the ETag."}
    if endpoint.is_file:
        operation["responses"] |= _PARTS
    operation["responses"] |= {status: {"$ref": f"#/components/responses/{status}"} for status in _STATUSES}
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.body is not None:
        content = {"application/json": {"schema": dict(endpoint.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.status == "204":
        return {"description": endpoint.summary}
    if endpoint.is_file:
        kinds = [MEDIA_TYPES[name].partition(";")[0] for name in FORMATS]
        return {"description": endpoint.summary, "content": {kind: {} for kind in kinds}}
    row: dict[str, Any] = {"type": "object"}
    if endpoint.rows_of:
        row = {"$ref": f"#/components/schemas/{endpoint.rows_of}"}
    if endpoint.is_stream:
        return {
            "description": endpoint.summary,
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    if not endpoint.has_rows:
        return {
            "description": endpoint.summary,
            "content": {MEDIA_TYPES["json"]: {"schema": dict(endpoint.document) or row}},
        }
    return _page(endpoint, row)


def _page(endpoint: Endpoint, row: Mapping[str, Any]) -> dict[str, Any]:
    page = {
        "type": "object",
        "required": ["rows", "next_cursor", "as_of_ledger"],
        "properties": {
            "rows": {"type": "array", "items": row},
            "next_cursor": {"type": ["string", "null"]},
            "as_of_ledger": {"type": "integer"},
            "since_ledger": {"type": "integer"},
            "gaps": {"type": "array", "items": {"$ref": "#/components/schemas/Gap"}},
        },
    }
    content: dict[str, Any] = {MEDIA_TYPES["json"]: {"schema": page}}
    for name in endpoint.formats[1:]:
        text = {"type": "string"} if name in ("ndjson", "csv") else {}
        content[MEDIA_TYPES[name].partition(";")[0]] = {"schema": text} if text else {}
    headers = {
        "X-As-Of-Ledger": {"schema": {"type": "integer"}},
        "X-Next-Cursor": {"schema": {"type": "string"}},
        "X-Gaps": {
            "description": "Ledgers that were asked for and left: TABLE FIRST-LAST archived or deleted.",
            "schema": {"type": "string"},
        },
    }
    return {"description": endpoint.summary, "headers": headers, "content": content}


def _parameter(one: Parameter) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": one.name,
        "in": one.place,
        "description": one.description,
        "required": one.place == "path",
        "schema": one.schema(),
    }
    if one.is_list:
        made |= {"style": "form", "explode": False}
    if one.example is not None:
        made["example"] = [one.example] if one.is_list else one.example
    return made


def _row(schema: pa.Schema) -> dict[str, Any]:
    described = (schema.metadata or {}).get(b"description", b"").decode()
    return {
        "type": "object",
        "description": described,
        "properties": {field.name: _column(field) for field in schema},
    }


def _column(field: pa.Field) -> dict[str, Any]:
    kind = field.type
    told: dict[str, Any] = {"type": "string"}
    if pa.types.is_boolean(kind):
        told = {"type": "boolean"}
    elif pa.types.is_list(kind):
        told = {"type": "array", "items": {"type": "string"}}
    elif pa.types.is_integer(kind) and kind.bit_width < 64:
        told = {"type": "integer"}
    elif pa.types.is_timestamp(kind):
        told = {"type": "string", "format": "date-time"}
    if field.nullable:
        told["type"] = [told["type"], "null"]
    if said := (field.metadata or {}).get(b"description", b"").decode():
        told["description"] = said
    return told


def _problem(said: str) -> dict[str, Any]:
    return {
        "description": said,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _identifier(path: str) -> str:
    words = path.replace("{", "").replace("}", "").strip("/").split("/")
    return "_".join(words[1:] if words[0] == "v1" else words).replace(".", "_").replace("-", "_")
