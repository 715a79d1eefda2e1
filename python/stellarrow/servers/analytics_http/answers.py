"""What an endpoint answers with, and how that becomes bytes and headers."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import StellarrowError
from stellarrow.extras import needing
from stellarrow.servers.analytics_http.writing import MEDIA_TYPES, compressed, json_page, written
from stellarrow.servers.problems import problem
from stellarrow.sinks.files.departures import Absence

with needing("HTTP", "servers"):
    from starlette.concurrency import run_in_threadpool
    from starlette.types import Receive, Scope, Send

_WORTH_PACKING: Final = 1_024  # bytes
# Both are asked for again each time, by their ETag: ledgers may be archived or deleted.
_FINAL: Final = "public, no-cache"
_CHANGING: Final = "no-cache"
_ETAG_DIGITS: Final = 24
_GAPS: Final = 100  # told of an answer
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Document:
    """An answer that is no table: what JSON has; `text` is JSON already."""

    value: Any = None
    text: bytes = b""
    is_final: bool = False

    def body(self) -> bytes:
        return self.text or json.dumps(self.value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as of a ledger: a page of a list of batches, or a stream of all there are.

    `is_final` tells that every ledger asked for is here: as long as they are, the answer is this one.
    """

    schema: pa.Schema
    batches: list[pa.RecordBatch] | Iterator[pa.RecordBatch] = field(repr=False)
    as_of: int
    following: str | None = None
    is_final: bool = False
    since: int | None = None  # of what is computed from many ledgers: the first of them
    gaps: tuple[Absence, ...] = ()  # ledgers that were asked for, and left


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer's bytes, as they may be sent again."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        same = _is_held(scope, self.etag)
        headers = [*self.headers, (b"etag", self.etag)]
        if _is_private(scope):
            headers = [one for one in headers if one[0] != b"cache-control"]  # the guard says no-store
        body = b"" if same else self.body
        if not same:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 304 if same else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def whole(answer: Document | Rows, format_name: str, coding: str | None) -> Whole:
    """Return an answer that is made at once."""
    headers = [
        (b"content-type", MEDIA_TYPES[format_name].encode()),
        (b"cache-control", (_FINAL if answer.is_final else _CHANGING).encode()),
        (b"vary", b"Accept, Accept-Encoding"),
    ]
    if isinstance(answer, Document):
        body = answer.body()
    else:
        batches = [*answer.batches]
        headers += _facts(answer)
        body = (
            json_page(batches, answer.as_of, answer.following, since=answer.since, gaps=told(answer.gaps))
            if format_name == "json"
            else b"".join(written(format_name, answer.schema, iter(batches), None))
        )
    return sealed(body, headers, None if format_name == "parquet" else coding)


def sealed(body: bytes, headers: list[tuple[bytes, bytes]], coding: str | None) -> Whole:
    """Return an answer of bytes that are made, packed where that is worth it."""
    if coding and len(body) >= _WORTH_PACKING:
        body = compressed(body, coding)
        headers = [*headers, (b"content-encoding", coding.encode())]
    etag = f'"{hashlib.sha256(body).hexdigest()[:_ETAG_DIGITS]}"'
    return Whole(body, tuple(headers), etag.encode())


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that is sent as it is made, in bounded memory; one that fails never looks whole."""

    answer: Rows
    format_name: str
    coding: str | None
    has_ended: Callable[[], bool]  # whether the caller may go on no longer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        coding = None if self.format_name == "parquet" else self.coding
        headers = [
            (b"content-type", MEDIA_TYPES[self.format_name].encode()),
            (b"vary", b"Accept, Accept-Encoding"),
            *_facts(self.answer),
        ]
        if coding:
            headers.append((b"content-encoding", coding.encode()))
        if not _is_private(scope):
            headers.append((b"cache-control", (_FINAL if self.answer.is_final else _CHANGING).encode()))
        if self.answer.is_final:
            headers.append((b"etag", etag := self._etag(scope)))
            if _is_held(scope, etag):
                await send({"type": "http.response.start", "status": 304, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        data = written(self.format_name, self.answer.schema, iter(self.answer.batches), coding)
        try:
            block = await run_in_threadpool(next, data, b"")
        except StellarrowError as error:  # before the first bytes, it is an answer of its own
            await problem(error, scope)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while block:
                await send({"type": "http.response.body", "body": block, "more_body": True})
                if self.has_ended():
                    return
                block = await run_in_threadpool(next, data, b"")
        except StellarrowError as error:
            # Without its end: the server closes the connection, and no client takes it for whole.
            _log.warning("an answer was cut off: %s", error)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _etag(self, scope: Scope) -> bytes:
        """Return what names these rows before they are read: their ledgers are here, and do not change."""
        of = (scope["path"], scope["query_string"], self.format_name, self.coding, self.answer.as_of)
        text = f"{of} {self.answer.schema}"
        return f'W/"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'.encode()


def _facts(answer: Rows) -> list[tuple[bytes, bytes]]:
    facts = [(b"x-as-of-ledger", str(answer.as_of).encode())]
    if answer.since is not None:
        facts.append((b"x-since-ledger", str(answer.since).encode()))
    if answer.following:
        facts.append((b"x-next-cursor", answer.following.encode()))
    return [*facts, *gaps_header(answer.gaps)]


def told(gaps: Sequence[Absence]) -> list[dict[str, Any]]:
    """Return what left as JSON has it, the first of many."""
    return [one.to_dict() for one in gaps[:_GAPS]]


def gaps_header(gaps: Sequence[Absence]) -> list[tuple[bytes, bytes]]:
    """Return what says in a header which ledgers left; none where none did."""
    parts = [f"{one.table} {one.first}-{one.last} {one.state}" for one in gaps[:_GAPS]]
    return [(b"x-gaps", ", ".join(parts).encode())] if parts else []


def _is_held(scope: Scope, etag: bytes) -> bool:
    """Tell whether the caller has an answer already, by its ETag."""
    meant = etag.removeprefix(b"W/")
    return any(
        name == b"if-none-match" and (value.strip() == b"*" or meant in _tags(value))
        for name, value in scope["headers"]
    )


def _tags(header: bytes) -> list[bytes]:
    return [one.strip().removeprefix(b"W/") for one in header.split(b",")]


def _is_private(scope: Scope) -> bool:
    shown = any(name in (b"authorization", b"x-api-key", b"cookie") for name, _ in scope["headers"])
    return shown or bool(scope.get("state", {}).get("certificate"))
