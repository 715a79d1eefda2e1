"""Ledgers that a table lacks: no file has them, and no record tells that they left.

Names of files tell, none is opened.
"""

from __future__ import annotations

from collections.abc import Iterable

from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.departures import MISSING, Absence, sentence
from stellarrow.sinks.files.listing import Listing


def lacking(known: LedgerSet, asked: LedgerRange, *, reach: int = 0, has_tail: bool = True) -> LedgerSet:
    """Return which of the ledgers asked for are not known to be here, or to have left.

    `reach` is the last ledger that any table of the place has come to: what lies behind that is yet to come.
    What has no beginning begins with the first that is known; what has no end ends with `reach`, or, where
    a table's tail is still arriving, with the last that is known.
    """
    last = known.last if known else 0
    reach = max(reach, last)
    tail = reach if has_tail and known else last
    end = tail if asked.last is None else min(asked.last, reach)
    first = asked.first
    if not first:
        first = known.first if known and known.first <= end else 1
    return LedgerSet([LedgerRange(first, end)]) - known if first <= end else LedgerSet()


def absent(table: str, ledgers: LedgerSet) -> tuple[Absence, ...]:
    """Tell of ledgers that are lacking, in order."""
    return tuple(Absence(table, one.first, one.end, MISSING) for one in ledgers)


def worth_a_warning(missing: LedgerSet, known: LedgerSet) -> LedgerSet:
    """Return what is missing, nothing where it is more than is known: such a table is a choice of ledgers."""
    return missing if missing and missing.count <= known.count else LedgerSet()


def beyond(place: str, known: LedgerSet, asked: LedgerRange, *, reach: int = 0) -> str:
    """Say that what is asked for begins behind what comes next there; empty where it does not."""
    last = max(reach, known.last if known else 0)
    if not last or asked.first <= last + 1:
        return ""
    return f"{place} has nothing from ledger {asked.first:,} on: the last ledger here is {last:,}"


def warning_of(table: str, known: LedgerSet, wanted: LedgerSet | None, *, reach: int) -> str:
    """Say what a table lacks where all is asked for, or all from a ledger on; empty where nothing is.

    Ranges that end are refused where not all of them is there: nothing needs to be said. Nor is it of who
    asks for what comes next.
    """
    asked = LedgerRange(0) if wanted is None else wanted.ranges[-1] if wanted else LedgerRange(0, 0)
    if asked.last is not None:
        return ""
    return beyond(table, known, asked, reach=reach) or sentence(
        absent(table, worth_a_warning(lacking(known, asked, reach=reach), known))
    )


class Reach:
    """How far the tables of a place had come by the look before: who writes them has had time since."""

    def __init__(self) -> None:
        self._last: int | None = None

    def by(self, known: Iterable[LedgerSet]) -> int:
        """Take what is known of the tables now; return the last ledger that any had by the look before."""
        last = max((one.last for one in known if one), default=0)
        before, self._last = self._last, last
        return last if before is None else min(last, before)


def reach_of(listings: Iterable[Listing]) -> int:
    """Return the last ledger that any of these tables has; 0 where there is none."""
    return max((part.end for one in listings for part in one.parts()), default=0)
