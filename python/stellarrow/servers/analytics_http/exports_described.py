"""What the reference says of exports."""

from __future__ import annotations

from typing import Any, Final

from stellarrow.ledgers import LAST_POSSIBLE
from stellarrow.servers.analytics_exports.asked import FORMATS
from stellarrow.servers.analytics_exports.job import DONE, FAILED, RUNNING, WAITING
from stellarrow.servers.analytics_http.answers import Document
from stellarrow.servers.analytics_http.endpoint import Endpoint
from stellarrow.servers.analytics_http.exports import FILE, ONE, PATH
from stellarrow.servers.analytics_http.parameters import Parameter

_EXPORT: Final = Parameter(
    "export", "An export's id.", place="path", pattern="[0-9a-f]{32}", like="an export's id"
)
_NAME: Final = Parameter("name", "A file's name.", place="path")
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 256}
_TEXTS: Final = {
    "anyOf": [
        {"type": "array", "items": _TEXT, "maxItems": 500},
        {"type": "string", "minLength": 1, "description": "The same with commas between, as in a URL."},
    ]
}
_BOUND: Final = {**_TEXT, "type": ["string", "integer"], "minimum": 0, "maximum": LAST_POSSIBLE}
_MOMENT: Final = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_OF_TABLE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["format", "table"],
    "additionalProperties": False,
    "properties": {
        "format": {"enum": list(FORMATS)},
        "table": {**_TEXT, "example": "token_transfers"},
        "start": {**_BOUND, "description": "The first ledger, or a time."},
        "end": {**_BOUND, "description": "The last ledger, or a time. Included."},
        **dict.fromkeys(
            ("columns", "contract_ids", "accounts", "assets", "event_types", "event_names"), _TEXTS
        ),
        "where": {"type": "string", "minLength": 1, "maxLength": 8_192},
    },
}
_OF_SQL: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["format", "sql"],
    "additionalProperties": False,
    "properties": {
        "format": {"enum": list(FORMATS)},
        "sql": {"type": "string", "minLength": 1},
        "params": {"type": ["array", "object"], "description": "Values for ?, or for $name."},
    },
}
_FILE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "path", "bytes", "rows", "sha256", "first_ledger", "last_ledger"],
    "properties": {
        "name": {"type": "string"},
        "path": {"type": "string", "description": "Where it is downloaded."},
        "bytes": _COUNT,
        "rows": _COUNT,
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "first_ledger": _COUNT,
        "last_ledger": _COUNT,
    },
}
_JOB: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "state", "format", "query", "files"],
    "properties": {
        "id": {"type": "string"},
        "state": {"enum": [WAITING, RUNNING, DONE, FAILED]},
        "format": {"enum": list(FORMATS)},
        "query": {"type": "object"},
        "as_of_ledger": {"type": ["integer", "null"]},
        **dict.fromkeys(("created_at", "ended_at", "expires_at"), _MOMENT),
        **dict.fromkeys(("rows", "bytes", "ledgers", "ledgers_left"), _COUNT),
        "truncated": {"type": "boolean", "description": "Whether SQL had more rows than may be."},
        "files": {"type": "array", "items": _FILE},
        "error": {"type": ["string", "null"]},
        "gaps": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Gap"},
            "description": "Ledgers that are asked for and left: the files lack them.",
        },
    },
}
_LIST: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["exports"],
    "properties": {"exports": {"type": "array", "items": _JOB}},
}


def described_exports() -> list[Endpoint]:
    """Return the endpoints of exports, for the reference alone."""
    common: dict[str, Any] = {"answer": lambda _: Document(), "tag": "exports"}
    return [
        Endpoint(path=PATH, summary="A caller's exports, the newest first", document=_LIST, **common),
        Endpoint(
            path=PATH,
            summary="Order an export: a table's rows, or the answer of SQL, as files",
            description="It is written in the background, as of the ledger that is the last one now, goes on"
            " after restarts, and is kept for a while; Location says where to ask how far it is.",
            status="202",
            body={"oneOf": [_OF_TABLE, _OF_SQL]},
            document=_JOB,
            **common,
        ),
        Endpoint(
            path=ONE,
            summary="How far an export is, and its files with their checksums",
            parameters=(_EXPORT,),
            document=_JOB,
            **common,
        ),
        Endpoint(
            path=ONE,
            summary="End an export and remove its files",
            verb="DELETE",
            status="204",
            parameters=(_EXPORT,),
            **common,
        ),
        Endpoint(
            path=FILE,
            summary="A file of an export",
            description="It takes Range, so that a download goes on where it was cut off.",
            parameters=(_EXPORT, _NAME),
            is_file=True,
            **common,
        ),
    ]
