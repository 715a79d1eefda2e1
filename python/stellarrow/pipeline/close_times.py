"""Which ledgers closed when: found in a sorted line of ledgers by looking at few of them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.close_time import close_time
from stellarrow.core.framing import ledgers_of
from stellarrow.errors import ConfigError, LedgerMissing
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.ledgers.dates import shown
from stellarrow.protocols import Named, Searchable, Source

_EDGE_SECONDS: Final = 60  # a source whose newest ledger is younger than that is at the edge of the chain
_log: Final = logging.getLogger(__name__)


class CloseTimes:
    """When the ledgers of a place closed, each looked at once: a search takes O(log n) looks.

    Ledgers close one after another, so where they lie by time is guessed from those seen, and bisected where
    guesses fail. Of what is asked for, the place gives what it has: where it begins or ends within that, a
    warning says so.
    """

    def __init__(self, available: Callable[[], LedgerSet], look: Callable[[int], int], *, name: str) -> None:
        self._available = available
        self._look = look
        self._name = name
        self._held: LedgerSet | None = None
        self._closed: dict[int, int] = {}

    @classmethod
    def of_source(cls, source: Source) -> CloseTimes:
        """Read when ledgers closed from a source."""
        name = source.name if isinstance(source, Named) else type(source).__name__
        available = source.bounds if isinstance(source, Searchable) else source.available
        return cls(available, lambda ledger: _read_from(source, ledger), name=name)

    @classmethod
    def of_rows(
        cls, ledgers: LedgerSet, read: Callable[[LedgerRange], Iterator[pa.RecordBatch]], *, name: str
    ) -> CloseTimes:
        """Read when ledgers closed from the column closed_at of a table's rows."""
        return cls(lambda: ledgers, lambda ledger: _read_rows(ledger, ledgers, read, name), name=name)

    def since(self, second: int, *, follows: bool) -> int:
        if follows and second > time.time() + _EDGE_SECONDS:
            raise ConfigError(f"{shown(second)} is still to come: begin with now: to follow from now on")
        held = self._ledgers()
        found = self._first_at(second)
        if found < held.count:
            ledger = _nth(held, found)
            if not found and self.closed_at(ledger) > second:
                _log.warning(
                    "%s begins with ledger %d, which closed at %s: there is nothing before it",
                    *(self._name, ledger, shown(self.closed_at(ledger))),
                )
            return ledger
        newest = self.closed_at(held.last)
        if follows and newest >= second - _EDGE_SECONDS:
            return held.last + 1
        raise LedgerMissing(
            f"no ledger of {self._name} closed at {shown(second)} or later: its newest, {held.last}, closed"
            f" at {shown(newest)}"
        )

    def until(self, second: int) -> int:
        held = self._ledgers()
        found = self._first_at(second + 1)
        if not found:
            raise LedgerMissing(
                f"{self._name} begins with ledger {held.first}, which closed at"
                f" {shown(self.closed_at(held.first))}: nothing there closed by {shown(second)}"
            )
        if found == held.count:
            newest = self.closed_at(held.last)
            if newest < min(second, time.time() - _EDGE_SECONDS):
                _log.warning(
                    "%s ends with ledger %d, which closed at %s: there is nothing after it",
                    *(self._name, held.last, shown(newest)),
                )
        return _nth(held, found - 1)

    def closed_by(self, second: int) -> int | None:
        """Return the last ledger that had closed by a second; None where none had."""
        found = self._first_at(second + 1)
        return _nth(self._ledgers(), found - 1) if found else None

    def closed_at(self, ledger: int) -> int:
        if ledger not in self._closed:
            self._closed[ledger] = self._look(ledger)
        return self._closed[ledger]

    def _ledgers(self) -> LedgerSet:
        if self._held is None:
            held = self._available()
            if not held:
                raise LedgerMissing(f"{self._name} has no ledger yet: none can be found by time")
            if held.ranges[-1].last is None:
                raise ConfigError(
                    f"{self._name} does not tell where it ends, so nothing is found there by time: give the"
                    " ledgers' numbers"
                )
            self._held = held
        return self._held

    def _first_at(self, second: int) -> int:
        """Return the place in line of the first ledger that closed at a second or later."""
        held = self._ledgers()
        if self.closed_at(held.first) >= second:
            return 0
        if self.closed_at(held.last) < second:
            return held.count
        low, high = 0, held.count - 1  # closed before, and not before
        turn, moved_low = 0, True
        while high - low > 1:
            guess = self._guess(low, high, second, turn=turn, moved_low=moved_low)
            at = self._readable(guess, high)
            moved_low = self.closed_at(_nth(held, at)) < second
            low, high = (at, high) if moved_low else (low, guess)
            turn += 1
        return high

    def _guess(self, low: int, high: int, second: int, *, turn: int, moved_low: bool) -> int:
        """Guess between two places: by their times, then close to the last guess, then in the middle."""
        held = self._ledgers()
        if turn % 3 == 0:
            earlier, later = self.closed_at(_nth(held, low)), self.closed_at(_nth(held, high))
            share = (second - earlier) / max(1, later - earlier)
            guess = low + math.ceil(share * (high - low))
        elif turn % 3 == 1:
            step = math.isqrt(high - low)
            guess = low + step if moved_low else high - step
        else:
            guess = (low + high) // 2
        return min(max(guess, low + 1), high - 1)

    def _readable(self, guess: int, high: int) -> int:
        """Return a place near a guess whose ledger is there: a hole may lie where nobody asked for it."""
        held, step = self._ledgers(), 1
        try:
            self.closed_at(_nth(held, guess))
        except LedgerMissing:
            while guess + step < high:
                try:
                    self.closed_at(_nth(held, guess + step))
                except LedgerMissing:
                    step *= 2
                else:
                    return guess + step
            return high
        return guess


def _nth(ledgers: LedgerSet, place: int) -> int:
    for part in ledgers:
        if place < part.count:
            return part.first + place
        place -= part.count
    raise IndexError(place)


def _read_from(source: Source, ledger: int) -> int:
    chunks: Any = source.read(LedgerRange(ledger, ledger))
    with closing(chunks):
        for chunk in chunks:
            for one in ledgers_of(chunk):
                return close_time(one, place=f"ledger {ledger} in {chunk.where}")
    raise LedgerMissing(f"ledger {ledger} did not come: its time of closing is not known")


def _read_rows(
    ledger: int, held: LedgerSet, read: Callable[[LedgerRange], Iterator[pa.RecordBatch]], name: str
) -> int:
    """Return when a ledger closed; one without rows counts as the next that has some, else as the last."""
    reach, end = 1, -1
    while end < held.last:
        end = max(ledger, min(ledger + reach - 1, held.last))
        if found := _closings(read(LedgerRange(ledger, end))):
            return min(found)
        reach *= 8
    reach = 8
    while ledger - reach // 8 >= held.first:
        if found := _closings(read(LedgerRange(max(held.first, ledger - reach), ledger))):
            return max(found)
        reach *= 8
    raise LedgerMissing(f"{name} has no row that tells when ledger {ledger} closed: give ledgers' numbers")


def _closings(batches: Iterator[pa.RecordBatch]) -> list[int]:
    return [
        int(one.timestamp()) for batch in batches for one in set(batch.column("closed_at").to_pylist()) if one
    ]
