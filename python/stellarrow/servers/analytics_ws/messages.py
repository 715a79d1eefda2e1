"""What a client may say: each message an object with `op`, of bounded size; every mistake in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.reading import Question
from stellarrow.analysis.reads.refusals import Refused
from stellarrow.errors import ConfigError, nearest
from stellarrow.net.bounded_json import JsonObject, read_object
from stellarrow.net.redaction import shortened
from stellarrow.servers.analytics_ws.limits import MESSAGE_BYTES

FORMATS: Final = ("json", "arrow", "arrow+zstd", "arrow+lz4")
MODES: Final = ("all", "latest")
_LISTS: Final = ("contract_ids", "accounts", "assets", "event_types", "event_names")
_KEYS: Final = {
    "auth": ("token",),
    "subscribe": (
        *("id", "channel", *_LISTS, "where", "columns", "format", "from", "mode", "credit"),
        *("window", "asset", "contract"),
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
    question: Question
    format_name: str
    origin: str
    mode: str
    credit: int | None
    figures: dict[str, str]


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
    conditions = Conditions(**{name: asked.texts(name) for name in _LISTS}, where=asked.text("where"))
    return Subscribe(
        id=id_of(given),
        channel=channel,
        question=Question(table=channel, conditions=conditions, columns=asked.texts("columns")),
        format_name=_one_of(asked, "format", FORMATS),
        mode=_one_of(asked, "mode", MODES),
        origin=asked.text("from") or "latest",
        credit=bytes_of(given, "credit") if given.get("credit") is not None else None,
        figures={key: value for key in ("window", "asset", "contract") if (value := asked.text(key))},
    )


def _one_of(asked: JsonObject, name: str, words: tuple[str, ...]) -> str:
    found = asked.text(name) or words[0]
    if found not in words:
        remedy = nearest(found, words, f"it must be {', '.join(words)}")
        raise Refused(f"{name} is {shortened(found)!r}: {remedy}", field=name)
    return found
