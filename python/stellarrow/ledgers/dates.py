"""Dates and times as people write them, and the seconds each of them stands for."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from stellarrow.errors import ConfigError

_DAY: Final = 86_400
_LONGEST: Final = float(1 << 62)  # seconds: every ledger lies within
_UNITS: Final = {"w": 7 * _DAY, "d": _DAY, "h": 3600, "m": 60, "s": 1}
_UNIT: Final = r"(?:w|weeks?|d|days?|h|hours?|m|mins?|minutes?|s|secs?|seconds?)"
_ZONE: Final = r"(?:z|[+-]\d{2}(?::?\d{2})?)"
_CLOCK: Final = rf"t\d{{2}}(?::\d{{2}}(?::\d{{2}}(?:\.\d+)?)?)?{_ZONE}?"
# Patterns for texts without spaces, in any case.
DURATION: Final = rf"(?:\d+(?:\.\d+)?{_UNIT})+"
MOMENT: Final = rf"(?:\d{{4}}-\d{{2}}(?:-\d{{2}}(?:{_CLOCK})?)?|-{DURATION}|now|today|yesterday)"

_MOMENT: Final = re.compile(MOMENT, re.ASCII | re.IGNORECASE)
_PARTS: Final = re.compile(rf"(\d+(?:\.\d+)?)({_UNIT})", re.ASCII | re.IGNORECASE)
_FRACTION: Final = re.compile(r"\.0*[1-9]")  # also finer ones than a datetime has
_SPACED: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\s+(?=\d{2}(?::|\b))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Moment:
    """The seconds that a date or a time stands for, since 1970 in UTC, the first and the last included.

    A day or a month stands for all of it, a time of the day for one second. One between two seconds stands
    for none: what begins there begins with the second after it, and what ends there with the one before.
    """

    first: int
    last: int

    @property
    def is_second(self) -> bool:
        """Whether it is a time of the day, not a day or a month."""
        return self.first >= self.last

    def ends_before(self, other: Moment) -> bool:
        """Tell whether all of it is before another one."""
        return self.last < min(other.first, other.last)


def without_spaces(text: str) -> str:
    """Write a range without spaces; one between a day and its time becomes a T."""
    if text.isdigit():
        return text
    return re.sub(r"\s+", "", _SPACED.sub(r"\1T", text))


def is_moment(text: str) -> bool:
    """Tell whether a text without spaces is a date or a time."""
    return bool(_MOMENT.fullmatch(text))


def read_moment(text: str) -> Moment:
    """Read `2024-07-01`, `2024-07`, `2024-07-01T12:00Z`, `-1d`, `now`, `today` or `yesterday`, in UTC."""
    now, word = int(time.time()), text.lower()
    if word == "now":
        return Moment(now, now)
    if word in ("today", "yesterday"):
        midnight = now // _DAY * _DAY - (_DAY if word == "yesterday" else 0)
        return Moment(midnight, midnight + _DAY - 1)
    if word.startswith("-"):
        past = now - read_duration(word[1:])
        return Moment(past, past)
    try:
        return _absolute(word)
    except (ValueError, OverflowError) as error:
        reason = str(error).partition(":")[0]
        raise ConfigError(
            f"{text!r} is no date there is ({reason}): write it as 2024-07-01 or 2024-07-01T12:00Z"
        ) from error


def read_duration(text: str) -> int:
    """Return the seconds of `90s`, `1h30m`, `2d` or `1w`."""
    seconds = sum(float(amount) * _UNITS[unit[0].lower()] for amount, unit in _PARTS.findall(text))
    return round(min(seconds, _LONGEST))


def shown(second: int) -> str:
    """Write a second as this module reads it."""
    try:
        return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return str(second)


def _absolute(text: str) -> Moment:
    day, clock, time_of_day = text.partition("t")
    if not clock:
        year, month, *date = map(int, day.split("-"))
        begin = datetime(year, month, date[0] if date else 1, tzinfo=UTC)
        end = begin + timedelta(days=1) if date else _next_month(begin)
        return Moment(int(begin.timestamp()), int(end.timestamp()) - 1)
    read = datetime.fromisoformat(f"{day}T{time_of_day.upper()}")
    second = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    return Moment(second + bool(_FRACTION.search(time_of_day)), second)


def _next_month(begin: datetime) -> datetime:
    return begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)
