"""What a client may say: each message an object with `op`, of bounded size; every mistake in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.figure_tail import request_of
from stellarrow.analysis.reads.reading import Question
from stellarrow.analysis.reads.refusals import Refused
from stellarrow.analysis.request import PREFIX, FiguresRequest
from stellarrow.errors import ConfigError, nearest
from stellarrow.net.bounded_json import JsonObject, read_object
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_ws.limits import MESSAGE_BYTES

FORMATS: Final = ("json", "arrow", "arrow+zstd", "arrow+lz4")
MODES: Final = ("all", "latest")
_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names")
_OF_ROWS: Final = (*_LISTS, "where", "columns")
_OF_FIGURES: Final = ("window", "asset", "contract")
_KEYS: Final = {
    "auth": ("token",),
    "subscribe": (
        *("id", "channel", *_LISTS, "where", "columns", "format", "from", "mode", "credit"),
        *_OF_FIGURES,
    ),
    "credit": ("id", "bytes"),
    "unsubscribe": ("id",),
    "list": (),
    "ping": (),
}
_LONGEST_ID: Final = 64
_MOST_CREDIT: Final = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """What is subscribed to: rows of a table, or figures; `credit` is bytes, None where none is asked for."""

    id: str
    channel: str
    question: Question | FiguresRequest
    format_name: str
    origin: str
    mode: str
    credit: int | None


def read(text: str | bytes | None) -> tuple[str, dict[str, Any]]:
    """Return what a message asks for and its fields; ConfigError where it is none."""
    if not isinstance(text, str):
        raise ConfigError("messages are JSON objects as text: send one")
    given = read_object(text.encode(), "the message", largest=MESSAGE_BYTES)
    op = given.pop("op", None)
    if not isinstance(op, str) or op not in _KEYS:
        remedy = nearest(str(op), _KEYS, f"it must be {', '.join(_KEYS)}")
        raise Refused(f"op is {shortened(repr(op))}: {remedy}", field="op")
    for key in given:
        if key not in _KEYS[op]:
            known = _KEYS[op]
            remedy = nearest(key, known, f"choose among {', '.join(known)}" if known else "leave it out")
            raise Refused(f"{op} has {shortened(key)!r}: {remedy}", field=shortened(key))
    return op, given


def id_of(given: dict[str, Any]) -> str:
    """Return a subscription's id."""
    found = given.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_ID:
        raise Refused(f"id must be a text of 1 to {_LONGEST_ID} characters", field="id")
    return found


def bytes_of(given: dict[str, Any], name: str) -> int:
    """Return so many bytes of credit."""
    found = given.get(name)
    if type(found) is not int or not 0 <= found <= _MOST_CREDIT:
        raise Refused(f"{name} must be a number of bytes, 0 to {_MOST_CREDIT}", field=name)
    return found


def subscribe_of(given: dict[str, Any]) -> Subscribe:
    """Read a subscription."""
    asked = JsonObject(given)
    channel = asked.text("channel")
    if not channel:
        raise Refused("channel is missing: name a table, or analytics/NAME", field="channel")
    return Subscribe(
        id=id_of(given),
        channel=channel,
        question=_question(channel, asked, given),
        format_name=_one_of(asked, "format", FORMATS),
        mode=_one_of(asked, "mode", MODES),
        origin=asked.text("from") or "latest",
        credit=bytes_of(given, "credit") if given.get("credit") is not None else None,
    )


def _question(channel: str, asked: JsonObject, given: dict[str, Any]) -> Question | FiguresRequest:
    """Return what a channel is of; what is asked of rows cannot be asked of figures, and the other way."""
    is_figures = channel.startswith(PREFIX)
    for name in _OF_ROWS if is_figures else _OF_FIGURES:
        if given.get(name) not in (None, "", []):
            other = "of a table's rows" if is_figures else f"of {PREFIX}NAME"
            raise Refused(f"{name} is asked {other}, not of {shortened(channel)}: leave it out", field=name)
    if is_figures:
        return request_of(channel, {key: value for key in _OF_FIGURES if (value := asked.text(key))})
    lists = {name: asked.texts(name) for name in _LISTS}
    conditions = Conditions(**lists, where=asked.text("where")).checked()
    return Question(table=channel, conditions=conditions, columns=asked.texts("columns"))


def _one_of(asked: JsonObject, name: str, words: tuple[str, ...]) -> str:
    found = asked.text(name) or words[0]
    if found not in words:
        remedy = nearest(found, words, f"it must be {', '.join(words)}")
        raise Refused(f"{name} is {shortened(found)!r}: {remedy}", field=name)
    return found
