"""Ranges and sets of ledgers, and how people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from stellarrow.errors import ConfigError, LedgerMissing
from stellarrow.ledgers.dates import (
    DURATION,
    MOMENT,
    is_moment,
    read_duration,
    read_moment,
    shown,
    without_spaces,
)
from stellarrow.ledgers.numbers import whole

LAST_POSSIBLE: Final = 2**32 - 1  # a ledger's sequence is a uint32 (Stellar-ledger.x, LedgerHeader.ledgerSeq)

_DIGITS: Final = 20
_NUMBER: Final = r"\d+(?:[_,]\d+)*"
_END: Final = rf"{_NUMBER}|latest|{MOMENT}"
_RANGE: Final = re.compile(
    rf"(?P<first>{_END})?(?P<rest>:(?:\+(?P<count>{_NUMBER}|{DURATION})|(?P<last>{_END}))?)?",
    re.ASCII | re.IGNORECASE,
)
# 58,752,000 in a list could be one ledger or three.
_AMBIGUOUS: Final = re.compile(r"(?<![\d,_])\d{1,3}(?:,\d{3}){2,}(?![\d,_])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class LedgerRange:
    """Ledgers from first to last, both included; without a last one it follows the chain."""

    first: int
    last: int | None = None

    def __post_init__(self) -> None:
        if type(self.first) is not int or not (self.last is None or type(self.last) is int):
            object.__setattr__(self, "first", _sequence(self.first))
            object.__setattr__(self, "last", None if self.last is None else _sequence(self.last))
        for number in (self.first, self.last):
            if number is not None and not 0 <= number <= LAST_POSSIBLE:
                raise ConfigError(f"{number} is no ledger: sequences go from 0 to {LAST_POSSIBLE}")
        if self.last is not None and self.last < self.first:
            raise ConfigError(f"the range {self.first}:{self.last} ends before it starts: swap its ends")

    @classmethod
    def parse(
        cls, text: str, *, known: Callable[[], LedgerSet] | None = None, times: Times | None = None
    ) -> LedgerRange:
        """Read `A:B`, `A:+N`, `A:`, `:B` or `A`; numbers may carry underscores or commas.

        `known` tells what a source holds: it stands for `latest`, and for the beginning that `:B` leaves open
        (ledger 1 without it). Ends may be dates or times, as ledgers.dates reads them, and N a duration such
        as 1h, where `times` tells when ledgers closed. Both ends are included: a day is all of that day.
        """
        match = _RANGE.fullmatch(without_spaces(text))
        if not match or not (match["first"] or match["last"]):
            raise ConfigError(
                f"{text!r} is no ledger range: write A:B, A:+N, A:, :B or A, where A and B are ledgers or"
                " times such as 2024-07-01, 2024-07-01T12:00Z or -1d"
            )
        return _Written(text, match, known, times).meant()

    @property
    def end(self) -> int:
        """The last ledger, or the last there can ever be."""
        return LAST_POSSIBLE if self.last is None else self.last

    @property
    def count(self) -> int:
        """How many ledgers; of an open range, how many there can ever be."""
        return self.end - self.first + 1

    def __contains__(self, ledger: int) -> bool:
        return self.first <= ledger <= self.end

    def __str__(self) -> str:
        if self.last is None:
            return f"{self.first}:"
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


class Times(Protocol):
    """When the ledgers of a place closed; what is there alone counts. Seconds are since 1970, in UTC."""

    def since(self, second: int, *, follows: bool) -> int:
        """Return the first ledger that closed at a second or later; one to come where the range follows."""

    def until(self, second: int) -> int:
        """Return the last ledger that closed at a second or earlier."""

    def closed_at(self, ledger: int) -> int:
        """Return the second at which a ledger closed."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A range as it was written, and what is known of the ledgers it is of."""

    text: str
    match: re.Match[str]
    known: Callable[[], LedgerSet] | None
    times: Times | None

    def meant(self) -> LedgerRange:
        match = self.match
        if not match["rest"]:
            return self._single(match["first"])
        if match["first"] and match["last"]:
            self._check_order(match["first"], match["last"])
        first = self._first()
        if match["rest"] == ":":
            return LedgerRange(first)
        last = self._counted(first) if match["count"] else self._last(match["last"])
        if last < first and any(map(is_moment, filter(None, (match["first"], match["last"])))):
            raise self._empty(first, last)
        if last < first and not match["first"]:
            raise LedgerMissing(f"the source begins with ledger {first}, and {self.text} ends before it")
        return LedgerRange(first, last)

    def _single(self, end: str) -> LedgerRange:
        if not is_moment(end):
            ledger = self._sequence(end)
            return LedgerRange(ledger, ledger)
        moment = read_moment(end)
        if moment.is_second:
            raise ConfigError(f"{self.text!r} is one second: write {end}: for all since then, or {end}:+1h")
        first, last = self._since(moment.first), self._clock().until(moment.last)
        if last < first:
            raise self._empty(first, last)
        return LedgerRange(first, last)

    def _check_order(self, first: str, last: str) -> None:
        if is_moment(first) and is_moment(last) and read_moment(last).ends_before(read_moment(first)):
            raise ConfigError(f"the range {self.text} ends before it starts: swap its ends")

    def _first(self) -> int:
        written = self.match["first"]
        if not written:
            held = self.known() if self.known else None
            return held.first if held else 1  # 1 is the genesis ledger
        return self._since(read_moment(written).first) if is_moment(written) else self._sequence(written)

    def _since(self, second: int) -> int:
        return self._clock().since(second, follows=self.match["rest"] == ":")

    def _last(self, written: str) -> int:
        return (
            self._clock().until(read_moment(written).last) if is_moment(written) else self._sequence(written)
        )

    def _counted(self, first: int) -> int:
        """Return the last of so many ledgers, or of those of so long, beginning with a ledger or a moment."""
        count = self.match["count"]
        if count[-1].isdigit():
            number, length = _number(count), 0
        else:
            number, length = 0, read_duration(count)
        if not number and not length:
            raise ConfigError(f"{self.text!r} asks for no ledger at all: write at least +1, or +1s")
        if number:
            return first + number - 1
        begin = self.match["first"]
        from_second = (
            read_moment(begin).first if begin and is_moment(begin) else self._clock().closed_at(first)
        )
        return self._clock().until(from_second + length - 1)

    def _sequence(self, number: str) -> int:
        if number.lower() != "latest":
            return _number(number)
        held = self.known() if self.known else None
        if not held:
            raise ConfigError(
                f"{self.text!r} asks for the latest ledger, but no source is there to know it: give its"
                " number"
            )
        return held.last

    def _clock(self) -> Times:
        if self.times is None:
            raise ConfigError(
                f"{self.text!r} asks by time, but nothing here knows when ledgers closed: give their numbers"
            )
        return self.times

    def _empty(self, first: int, last: int) -> LedgerMissing:
        clock = self._clock()
        return LedgerMissing(
            f"no ledger is in the range {self.text}: the last before its end is {last}, which closed at"
            f" {shown(clock.closed_at(last))}, and it begins with {first}, which closed at"
            f" {shown(clock.closed_at(first))}"
        )


@dataclass(frozen=True, slots=True, init=False)
class LedgerSet:
    """A set of ledgers, kept as sorted ranges that neither touch nor overlap."""

    ranges: tuple[LedgerRange, ...]

    def __init__(self, ranges: Iterable[LedgerRange] = ()) -> None:
        held = tuple(ranges)
        is_simple = not held or (len(held) == 1 and held[0].last != LAST_POSSIBLE)
        object.__setattr__(self, "ranges", held if is_simple else tuple(_merged(held)))

    @classmethod
    def _sorted(cls, ranges: Iterable[LedgerRange]) -> LedgerSet:
        """Return the set of ranges that are in order, and neither touch nor overlap."""
        made = object.__new__(cls)
        object.__setattr__(made, "ranges", tuple(ranges))
        return made

    @classmethod
    def parse(
        cls, text: str, *, known: Callable[[], LedgerSet] | None = None, times: Times | None = None
    ) -> LedgerSet:
        """Read ranges separated by commas, each as LedgerRange.parse does; here none groups digits."""
        if unclear := _AMBIGUOUS.search(text):
            one = unclear[0].replace(",", "_")
            raise ConfigError(
                f"{unclear[0]!r} could be one ledger or several: write {one}, or a space after each comma"
            )
        return cls(LedgerRange.parse(part, known=known, times=times) for part in text.split(","))

    @classmethod
    def of(cls, ledgers: Iterable[int]) -> LedgerSet:
        """Collect single ledgers."""
        return cls(LedgerRange(ledger, ledger) for ledger in ledgers)

    @property
    def first(self) -> int:
        """The lowest ledger; an empty set has none and raises IndexError."""
        return self.ranges[0].first

    @property
    def last(self) -> int:
        """The highest ledger; an empty set has none and raises IndexError."""
        return self.ranges[-1].end

    @property
    def count(self) -> int:
        """How many ledgers are in the set."""
        return sum(part.count for part in self.ranges)

    @property
    def holes(self) -> LedgerSet:
        """The ledgers between the first and the last that are not in the set."""
        return LedgerSet([LedgerRange(self.first, self.last)]) - self if self else self

    def windows(self, ledgers: int) -> Iterator[LedgerRange]:
        """Cut the ranges into some of so many ledgers at most."""
        for part in self.ranges:
            for first in range(part.first, part.end + 1, ledgers):
                yield LedgerRange(first, min(part.end, first + ledgers - 1))

    def __or__(self, other: LedgerSet) -> LedgerSet:
        if not self.ranges or not other.ranges:
            return self if self.ranges else other
        return LedgerSet((*self.ranges, *other.ranges))

    def __sub__(self, other: LedgerSet) -> LedgerSet:
        return LedgerSet._sorted(_without(self.ranges, other.ranges))

    def __and__(self, other: LedgerSet) -> LedgerSet:
        return LedgerSet._sorted(_common(self.ranges, other.ranges))

    def __contains__(self, ledger: int) -> bool:
        return any(ledger in part for part in self.ranges)

    def __iter__(self) -> Iterator[LedgerRange]:
        return iter(self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __str__(self) -> str:
        return ", ".join(map(str, self.ranges))


def _span(first: int, end: int) -> LedgerRange:
    return LedgerRange(first, None if end == LAST_POSSIBLE else end)


def _merged(ranges: Iterable[LedgerRange]) -> Iterator[LedgerRange]:
    first = end = -2
    for part in sorted(ranges, key=lambda part: part.first):
        if part.first <= end + 1:
            end = max(end, part.end)
            continue
        if first >= 0:
            yield _span(first, end)
        first, end = part.first, part.end
    if first >= 0:
        yield _span(first, end)


def _without(kept: Iterable[LedgerRange], gone: tuple[LedgerRange, ...]) -> Iterator[LedgerRange]:
    at = 0
    for part in kept:
        first = part.first
        while at < len(gone) and gone[at].end < first:
            at += 1
        for number in range(at, len(gone)):
            hole = gone[number]
            if hole.first > part.end:
                break
            if hole.first > first:
                yield _span(first, hole.first - 1)
            first = max(first, hole.end + 1)
        if first <= part.end:
            yield _span(first, part.end)


def _common(left: tuple[LedgerRange, ...], right: tuple[LedgerRange, ...]) -> Iterator[LedgerRange]:
    one = other = 0
    while one < len(left) and other < len(right):
        first = max(left[one].first, right[other].first)
        end = min(left[one].end, right[other].end)
        if first <= end:
            yield _span(first, end)
        if left[one].end < right[other].end:
            one += 1
        else:
            other += 1


def _sequence(given: Any) -> int:
    if (number := whole(given)) is None:
        raise ConfigError(f"{given!r} is no ledger: give a whole number")
    return number


def _number(written: str) -> int:
    """Read a number as people group it; of a very long one, as many digits as tell that no ledger has it."""
    digits = re.sub("[_,]", "", written).lstrip("0")
    return int(digits[:_DIGITS] or "0")
