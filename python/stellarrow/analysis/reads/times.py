"""Which ledgers an answer is of, where it is asked for by number or by time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from stellarrow.analysis.reads.order import LEDGER
from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.refusals import Refused
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.ledgers.dates import is_moment, read_moment, without_spaces

_REMEMBERED: Final = 10_000  # ledgers whose time is known
_DIGITS: Final = 10  # of a ledger
_CLOCK: Final = "ledgers"  # the table that has a row of every ledger


class Times:
    """When ledgers closed, each looked at once: it never changes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lock = threading.Lock()
        self._closed: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def range(self, table: str, start: str, end: str) -> LedgerRange | None:
        """Return the ledgers from start to end, both included, by number or time; None where there are none.

        An end that is open takes what there is.
        """
        first = self._bound(table, start, "start") if start else 0
        last = self._bound(table, end, "end") if end else None
        if last is not None and last < first:
            if any(is_moment(without_spaces(one)) for one in (start, end)):
                return self._before(table, first)
            raise Refused(f"end is {last}, before start {first}: swap them", field="end")
        return LedgerRange(first, last)

    def _before(self, table: str, first: int) -> LedgerRange | None:
        """Return the ledgers right before one that are not known, and may have closed then; None of none."""
        clock = self._clock(table)
        known = clock.known
        if first < 2 or not known or first > known.last or first - 1 in known:
            return None
        return LedgerRange(clock.last_until(first - 1) + 1, first - 1)

    def _bound(self, table: str, text: str, field: str) -> int:
        compact = without_spaces(text)
        if compact.isascii() and compact.isdigit():
            if len(compact) > _DIGITS or int(compact) > LAST_POSSIBLE:
                raise Refused(f"{field} is {compact[:40]}: ledgers go up to {LAST_POSSIBLE}", field=field)
            return int(compact)
        if not is_moment(compact):
            raise Refused(
                f"{field} is {text[:40]!r}: it must be a ledger, or a time such as 2024-07-01 or"
                " 2024-07-01T12:00:00Z",
                field=field,
            )
        try:
            moment = read_moment(compact)
        except ConfigError as error:
            raise Refused(f"{field}: {error}", field=field) from error
        snapshot = self._clock(table)
        second = moment.first if field == "start" else moment.last + 1
        found = self._first_at(snapshot, second)
        if left := self._left_before(table, found, second):
            # Which of its ledgers closed when, nobody here knows: all of them are told as not here.
            if field == "start":
                return left.first
            return left.end if self._has_begun(table, left, second) else left.first - 1
        if field == "end":
            return max(0, found - 1)
        known = snapshot.known
        is_behind_hole = known and known.first < found <= known.last and found - 1 not in known
        return snapshot.last_until(found - 1) + 1 if is_behind_hole else found

    def _has_begun(self, table: str, left: LedgerRange, second: int) -> bool:
        """Tell whether the first of a range that left may have closed before a second."""
        stored = self._tables.snapshot(table).stored
        return stored is None or stored.departures.began_by(left) < second

    def _left_before(self, table: str, ledger: int, second: int) -> LedgerRange | None:
        """Return the range that left, before a ledger, and has the first that closed at a second or later."""
        stored = self._tables.snapshot(table).stored
        left = stored.departures.closed_from(second) if stored else None
        return left if left and left.first < (ledger or LAST_POSSIBLE) else None

    def _clock(self, table: str) -> Snapshot:
        """Return what tells the times: the table of ledgers, where it has all that the other has."""
        own = self._tables.snapshot(table)
        if _CLOCK in self._tables.names:
            clock = self._tables.snapshot(_CLOCK)
            if not own.coverage - clock.coverage:
                return clock
        return own

    def _first_at(self, snapshot: Snapshot, second: int) -> int:
        """Return the first ledger that closed at a second or later, or the one after the last."""
        parts = snapshot.coverage.ranges
        if not parts:
            return 0
        low, high = 0, sum(part.count for part in parts)
        while low < high:
            middle = (low + high) // 2
            found = self._row_from(snapshot, _nth(snapshot.coverage, middle))
            if found is None or found[1] >= second:
                high = middle
            else:
                low = _place(snapshot.coverage, found[0]) + 1
        return _nth(snapshot.coverage, low) if low < sum(part.count for part in parts) else snapshot.as_of + 1

    def _row_from(self, snapshot: Snapshot, ledger: int) -> tuple[int, int] | None:
        """Return the first ledger with rows from one on, and when it closed, in unix seconds."""
        with self._lock:
            if snapshot.name == _CLOCK and ledger in self._closed:
                return self._closed[ledger]
        question = Question(table=snapshot.name, columns=(LEDGER, "closed_at"))
        for rows in snapshot.read(question, LedgerRange(ledger, snapshot.as_of)):
            found = rows.column(LEDGER)[0].as_py(), int(rows.column("closed_at")[0].as_py().timestamp())
            with self._lock:
                if snapshot.name == _CLOCK:
                    self._closed[ledger] = found
                if len(self._closed) > _REMEMBERED:
                    self._closed.popitem(last=False)
            return found
        return None


def _nth(ledgers: LedgerSet, place: int) -> int:
    for part in ledgers:
        if place < part.count:
            return part.first + place
        place -= part.count
    raise IndexError(place)


def _place(ledgers: LedgerSet, ledger: int) -> int:
    before = 0
    for part in ledgers:
        if ledger in part:
            return before + ledger - part.first
        before += part.count
    raise IndexError(ledger)
