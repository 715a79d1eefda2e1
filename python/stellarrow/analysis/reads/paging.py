"""Pages of an answer: each goes on where the one before ended, as of the same ledger, while ledgers come."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from stellarrow.analysis.reads.order import ledgers_of
from stellarrow.analysis.reads.reading import Question, Snapshot
from stellarrow.analysis.reads.refusals import FellOut, Refused
from stellarrow.errors import Unavailable
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.sinks.files.departures import Absence, sentence

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """Where an answer goes on: behind `row` rows of a ledger, as of a ledger.

    `floor` is the lowest ledger that there was to read when the first page was made.
    """

    shape: str
    as_of: int
    ledger: int
    row: int
    floor: int

    def token(self) -> str:
        held = json.dumps([self.shape, self.as_of, self.ledger, self.row, self.floor], separators=(",", ":"))
        return base64.urlsafe_b64encode(held.encode()).decode().rstrip("=")

    @classmethod
    def of_token(cls, token: str, shape: str) -> Mark:
        """Read a token; Refused where it is none, or of another question."""
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            made_for, *numbers = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            as_of, ledger, row, floor = (_whole(one) for one in numbers)
        except (ValueError, TypeError, RecursionError) as error:
            raise Refused(
                "the cursor is none of ours: send the next_cursor of a page, or leave it out", field="cursor"
            ) from error
        if made_for != shape:
            raise Refused(
                "the cursor is of another query: all but limit, columns and format must be as it was then",
                field="cursor",
            )
        return cls(made_for, as_of, ledger, row, floor)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, as of a ledger, and the cursor of what follows, None where nothing does.

    `gaps` are the ledgers between its first row and the next page's that left, or never were here.
    """

    batches: list[pa.RecordBatch]
    as_of: int
    next: str | None
    gaps: tuple[Absence, ...] = ()


def page(
    snapshot: Snapshot, question: Question, *, limit: int, cursor: str = "", for_text: bool = False
) -> Page:
    """Return so many rows of the answer from its beginning, or from a cursor on; `for_text` as of read()."""
    mark = Mark.of_token(cursor, question.shape) if cursor else first_mark(snapshot, question)
    if cursor:
        _check(mark, snapshot)
    due = _due(mark, descending=question.descending)
    if due is None:
        as_of = mark.as_of if cursor else snapshot.as_of
        return Page([], as_of, None, _passed(snapshot, question, mark if cursor else None, None))
    taken = _Taken(mark, limit)
    for rows in snapshot.read(replace(question, ledgers=due), due, is_page=True, for_text=for_text):
        taken.add(rows)
        if taken.following is not None:
            break
    if taken.following is None and question.descending and cursor:
        _check_floor(mark, snapshot)
    columns = snapshot.columns(question.columns)
    following = taken.following
    token = None if following is None else following.token()
    gaps = _passed(snapshot, question, mark if cursor else None, following)
    batches = [rows if rows.schema.names == columns else rows.select(columns) for rows in taken.batches]
    return Page(batches, mark.as_of, token, gaps)


def refuse_departed(snapshot: Snapshot, ledgers: LedgerRange) -> None:
    """Refuse what is asked of ledgers by name of which none is here any more."""
    asked = LedgerSet([ledgers])
    if not snapshot.coverage & asked and snapshot.absences(asked):
        raise departed(snapshot.gaps(ledgers))


def departed(absences: tuple[Absence, ...], what: str = "") -> FellOut:
    """Say of ledgers that left where they are."""
    return FellOut(f"{what}{sentence(absences)}", gaps=[one.to_dict() for one in absences])


def _passed(
    snapshot: Snapshot, question: Question, begun: Mark | None, following: Mark | None
) -> tuple[Absence, ...]:
    """Return what a page lacks of the ledgers it passes, from where it begins to where the next one does."""
    asked = question.ledgers
    one = begun.ledger if begun else (asked.end if question.descending else asked.first)
    other = following.ledger if following else (asked.first if question.descending else asked.end)
    return snapshot.gaps(asked, LedgerRange(min(one, other), max(one, other)))


def first_mark(snapshot: Snapshot, question: Question) -> Mark:
    """Return where an answer begins, as of now."""
    as_of = min(snapshot.as_of, snapshot.last_until(question.ledgers.end))
    within = snapshot.coverage & LedgerSet([question.ledgers])
    first = max(1, question.ledgers.first)  # there is no ledger 0
    floor = within.first if within else first
    return Mark(question.shape, as_of, as_of if question.descending else first, 0, floor)


def gaps_of(snapshot: Snapshot, question: Question) -> tuple[Absence, ...]:
    """Return what a whole answer lacks."""
    return _passed(snapshot, question, None, None)


def whole(
    snapshot: Snapshot, question: Question, *, for_text: bool = False
) -> tuple[int, Iterator[pa.RecordBatch]]:
    """Return as of which ledger an answer is, and all of its rows; `for_text` as of read()."""
    mark = first_mark(snapshot, question)
    due = _due(mark, descending=question.descending)
    columns = snapshot.columns(question.columns)
    found = snapshot.read(question, due or LedgerRange(0, 0), for_text=for_text)
    return mark.as_of if due else snapshot.as_of, (rows.select(columns) for rows in found if due)


def _due(mark: Mark, *, descending: bool) -> LedgerRange | None:
    """Return the ledgers that are left: never more than the first page knew."""
    first, last = (mark.floor, mark.ledger) if descending else (mark.ledger, mark.as_of)
    return LedgerRange(first, last) if first <= last else None


def _check(mark: Mark, snapshot: Snapshot) -> None:
    """Refuse to go on where rows would be missing."""
    coverage, gone = snapshot.coverage, snapshot.gone
    if mark.ledger in gone:
        raise _departed_at(mark.ledger, "at which the cursor goes on", snapshot)
    if mark.as_of > snapshot.as_of and mark.as_of not in gone:
        raise Unavailable(
            f"the cursor is as of ledger {mark.as_of}, and {snapshot.name} is here up to {snapshot.as_of}:"
            " try again when the newer ledgers are here",
            retry_after=_RETRY_SECONDS,
        )
    if mark.ledger not in coverage:
        raise _fell_out(f"ledger {mark.ledger}, at which the cursor goes on,", snapshot)


def _check_floor(mark: Mark, snapshot: Snapshot) -> None:
    if mark.floor in snapshot.gone:
        raise _departed_at(mark.floor, "which the first page knew", snapshot)
    if mark.floor <= mark.as_of and mark.floor not in snapshot.coverage:
        raise _fell_out(f"ledger {mark.floor}, which the first page knew,", snapshot)


def _departed_at(ledger: int, what: str, snapshot: Snapshot) -> FellOut:
    gone = next(part for part in snapshot.gone if ledger in part)
    said = f"ledger {ledger}, {what}, is no longer here: begin again without the cursor. What left: "
    return departed(snapshot.absences(LedgerSet([gone])), said)


def _fell_out(what: str, snapshot: Snapshot) -> FellOut:
    coverage = snapshot.coverage
    first = coverage.first if coverage else "none"
    return FellOut(
        f"{what} is no longer kept here: the first ledger of {snapshot.name} is {first}; begin again without"
        " the cursor, or extract the older ledgers from where they come from"
    )


class _Taken:
    """Rows of a page as they come, and where the next one begins once there is a row for it."""

    def __init__(self, mark: Mark, limit: int) -> None:
        self.batches: list[pa.RecordBatch] = []
        self.following: Mark | None = None
        self._mark = mark
        self._left = limit
        self._skip = mark.row
        self._ledger = mark.ledger
        self._in_ledger = mark.row  # rows that were given of that ledger, on this page and before

    def add(self, rows: pa.RecordBatch) -> None:
        rows = self._rest(rows)
        if not rows.num_rows:
            return
        ledgers = ledgers_of(rows)
        taken = min(self._left, rows.num_rows)
        if taken:
            self.batches.append(rows.slice(0, taken))
            self._left -= taken
            self._count(ledgers[:taken])
        if taken < rows.num_rows:
            ledger = ledgers[taken]
            row = self._in_ledger if ledger == self._ledger else 0
            mark = self._mark
            self.following = Mark(mark.shape, mark.as_of, ledger, row, mark.floor)

    def _rest(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out what earlier pages gave of the first ledger."""
        if not self._skip:
            return rows
        here = 0
        for ledger in ledgers_of(rows):
            if ledger != self._mark.ledger or here == self._skip:
                break
            here += 1
        self._skip = self._skip - here if here == rows.num_rows else 0
        return rows.slice(here)

    def _count(self, ledgers: memoryview) -> None:
        last = ledgers[-1]
        run = 0
        for ledger in reversed(ledgers):
            if ledger != last:
                break
            run += 1
        self._in_ledger = run + (self._in_ledger if last == self._ledger else 0)
        self._ledger = last


def _whole(number: object) -> int:
    if type(number) is int and 0 <= number <= LAST_POSSIBLE:
        return number
    raise ValueError(number)
