"""What may be asked of figures, over any protocol: `analytics/NAME`, a window, and from when to when."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.windows import NAMES, Analytics, Answer, Question
from stellarrow.errors import ConfigError, nearest
from stellarrow.ledgers.dates import is_moment, read_moment
from stellarrow.net.bounded_json import JsonObject, read_object
from stellarrow.net.redaction import shortened
from stellarrow.net.refused import Refused

PREFIX: Final = "analytics/"
MOST_TOP: Final = 1_000  # rows of the foremost
_COMMAND_BYTES: Final = 64 << 10
_KEYS: Final = ("table", "window", "from", "to", "asset", "contract", "top", "by", "session")


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresRequest:
    """Windows of one name, the oldest first; or, with `top`, the foremost keys of the window that is open.

    `start` and `end` are dates or times; windows are given that begin between them, both included. `key` is
    an asset or a contract. `session` is one of a processor's, the foremost where it is empty.
    """

    name: str
    window: str = ""
    start: str = ""
    end: str = ""
    key: str = ""
    top: int = 0
    by: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            remedy = nearest(self.name, NAMES, f"choose among {', '.join(NAMES)}")
            raise ConfigError(f"there are no analytics {shortened(self.name)!r}: {remedy}")
        for name, moment in (("from", self.start), ("to", self.end)):
            if moment and not is_moment(moment):
                raise Refused(f"{name} is {shortened(moment)!r}: write it as 2024-07-01 or -1d", field=name)
        if self.by and not self.top:
            raise Refused("by orders the foremost: say how many with top", field="by")
        if self.top and (self.key or self.start or self.end):
            sentence = "the foremost are of all, in the window that is open: leave the rest out"
            raise Refused(sentence, field="top")
        self.answer(Analytics())  # what else is wrong is told now

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> FiguresRequest:
        """Read what was given by name, as a command has it."""
        asked = JsonObject(dict(given))
        keys = {kind: asked.text(kind) for kind in ("asset", "contract")}
        keyed = NAMES[name].keyed if name in NAMES else None
        for kind, key in keys.items():
            if key and name in NAMES and kind != keyed:
                by = keyed or "nothing: it is of the whole network"
                raise Refused(f"{PREFIX}{name} is by {by}: leave {kind} out", field=kind)
        return cls(
            name=name,
            window=asked.text("window"),
            start=asked.text("from"),
            end=asked.text("to"),
            key=keys.get(keyed or "", ""),
            top=asked.number("top", MOST_TOP),
            by=asked.text("by"),
            session=asked.text("session"),
        )

    def ticket(self) -> bytes:
        """Return the command as `parse` reads it."""
        keyed = NAMES[self.name].keyed or "asset"
        given = {
            "table": f"{PREFIX}{self.name}",
            "window": self.window,
            "from": self.start,
            "to": self.end,
            keyed: self.key,
            "top": self.top,
            "by": self.by,
            "session": self.session,
        }
        return json.dumps({name: value for name, value in given.items() if value}).encode()

    @property
    def question(self) -> Question:
        """What it asks, but for the times."""
        if self.top:
            return Question(self.name, self.window or "24h", top=self.top, by=self.by or None)
        return Question(self.name, self.window or "1h", key=self.key or None)

    def answer(self, analytics: Analytics) -> Answer:
        """Return the figures, and the ledgers that they are of."""
        (found,) = analytics.ask([self.question])
        if not (self.start or self.end):
            return found
        starts = [one.value // 1_000_000 for one in found.rows["window_start"]]
        first = read_moment(self.start).first if self.start else 0
        last = read_moment(self.end).last if self.end else max(starts, default=0)
        begin, end = bisect_left(starts, first), bisect_right(starts, last)
        return replace(found, rows=found.rows.slice(begin, max(0, end - begin)))

    @property
    def schema(self) -> pa.Schema:
        """The schema of every answer."""
        return self.answer(Analytics()).rows.schema


def is_figures(command: bytes) -> bool:
    """Tell whether a JSON command is of figures; one that is no JSON is none."""
    try:
        given = json.loads(command)
    except (ValueError, RecursionError):
        return False
    table = given.get("table") if isinstance(given, dict) else None
    return isinstance(table, str) and table.startswith(PREFIX)


def parse(command: bytes) -> FiguresRequest:
    """Read a JSON command whose table is `analytics/NAME`."""
    asked = JsonObject.read(command, "the command", keys=_KEYS, largest=_COMMAND_BYTES)
    given = read_object(command, "the command", largest=_COMMAND_BYTES)
    return FiguresRequest.of(asked.text("table").removeprefix(PREFIX), given)


def of_path(path: tuple[str, ...]) -> FiguresRequest:
    """Read what stands behind `analytics`: a name, and maybe a window."""
    if len(path) not in (1, 2):
        raise ConfigError("the path names no figures: write [analytics, NAME] or [analytics, NAME, WINDOW]")
    return FiguresRequest(name=path[0], window=path[1] if len(path) > 1 else "")


def of_query(name: str, given: Mapping[str, str]) -> FiguresRequest:
    """Read a name and the parameters of a URL."""
    values: dict[str, Any] = {key: value for key, value in given.items() if value}
    if (top := values.get("top", "")).isdecimal() and len(top) < 10:
        values["top"] = int(top)
    for key in values:
        if key not in _KEYS[1:]:
            remedy = nearest(key, _KEYS[1:], f"choose among {', '.join(_KEYS[1:])}", show=repr)
            raise ConfigError(f"there is no parameter {shortened(key)!r}: {remedy}")
    return FiguresRequest.of(name, values)
