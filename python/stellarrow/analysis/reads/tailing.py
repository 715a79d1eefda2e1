"""An answer that goes on: rows of ledgers behind a place, in order, and what comes, each ledger once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.analysis.reads.order import ledgers_of
from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.reads.refusals import Refused
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.net.redaction import shortened
from stellarrow.processor.reads.cursor import Cursor, OfAnotherQuestion, Place
from stellarrow.sinks.files.departures import MISSING, Absence

EARLIEST: Final = "earliest"
LATEST: Final = "latest"
_ROWS: Final = 1_000  # of a part, unless one ledger has more


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of ledgers first to last, with those that have none; or ledgers that are not here, a gap."""

    first: int
    last: int
    rows: pa.RecordBatch | None = field(default=None, repr=False)
    is_gap: bool = False
    absence: Absence | None = None  # of rows' gaps: where the ledgers went, or that they are missing
    is_recount: bool = (
        False  # of figures that were counted again: all windows there are, in place of all before
    )


class Tail:
    """What a question has behind a place. Each call of parts() gives what there is by then."""

    def __init__(self, tables: Tables, question: Question) -> None:
        snapshot = tables.snapshot(question.table)
        snapshot.read(question, LedgerRange(0, 0))  # what is wrong with it is told now
        self.schema = snapshot.answer_schema(question.columns)
        self.question = question
        self._tables = tables
        self._columns = self.schema.names

    def times_counted(self) -> int:
        """Return 1: rows are never counted again."""
        return 1

    def recount(self) -> Part | None:
        """Return None, as there is never one."""
        return None

    def place(self, origin: str) -> int:
        """Return the ledger that an answer begins behind: earliest, latest, or where a token says."""
        snapshot = self._tables.snapshot(self.question.table)
        if origin == LATEST:
            return self.last()
        if origin == EARLIEST:
            known = snapshot.known
            return max(0, known.first - 1) if known else 0
        return place_of(origin, self.question.shape).after

    def last(self) -> int:
        """Return the last ledger that there is now, or was and left."""
        known = self._tables.snapshot(self.question.table).known
        return known.last if known else 0

    def recovers(self, after: int) -> bool:
        """Tell whether what follows a ledger goes on without a gap."""
        snapshot = self._tables.snapshot(self.question.table)
        if after + 1 in snapshot.gone:
            return False
        return after == 0 or after >= snapshot.as_of or after + 1 in snapshot.coverage

    def gap(self, first: int, last: int) -> Part:
        """Return what tells of ledgers that are not here, and are not known to have left."""
        return Part(first, last, is_gap=True, absence=Absence(self.question.table, first, last, MISSING))

    def for_json(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows as JSON has them: as they are."""
        return rows

    def token(self, after: int) -> str:
        """Return what goes on behind a ledger."""
        return Cursor(self.question.shape, {"": Place(after)}).token()

    def parts(
        self, after: int, *, until: int = LAST_POSSIBLE, rows: int = _ROWS, size: int = 0
    ) -> Iterator[Part]:
        """Yield what is here behind a ledger and up to another, in order; behind 0 is from the first.

        A part has about so many rows, or so many bytes where `size` is given; what is more than twice that
        is one ledger.
        """
        snapshot = self._tables.snapshot(self.question.table)
        if until <= after:
            return
        due = LedgerSet([LedgerRange(after + 1, until)])
        left = {LedgerRange(one.first, one.last): one for one in snapshot.absences(due)}
        for part in sorted([*(snapshot.coverage & due), *left]):
            if part.first > after + 1 and after > 0:
                yield self.gap(after + 1, part.first - 1)
            if part in left:
                yield Part(part.first, part.end, is_gap=True, absence=left[part])
            else:
                yield from self._rows(snapshot, part, rows, size)
            after = part.end

    def _rows(self, snapshot: Snapshot, part: LedgerRange, rows: int, size: int) -> Iterator[Part]:
        begun = part.first
        for found in snapshot.read(self.question, part):
            most = min(rows, max(1, size * found.num_rows // max(1, found.nbytes))) if size else rows
            for piece, last in _cut(found, most):
                yield Part(begun, last, piece.select(self._columns))
                begun = last + 1
        if begun <= part.end:
            yield Part(begun, part.end)


def place_of(origin: str, shape: str) -> Place:
    """Return where a token goes on behind whole ledgers; Refused where it is none, or of another question."""
    try:
        place = Cursor.of_token(origin, shape=shape).places.get("")
    except OfAnotherQuestion as error:
        raise Refused(
            "the token in from is of another question: ask as it was asked then, or begin from earliest or"
            " latest",
            field="from",
        ) from error
    except ConfigError:
        place = None
    if place is None or place.row:
        raise Refused(
            f"from must be earliest, latest, or an earlier resume: {shortened(origin)!r} is none",
            field="from",
        )
    return place


def _cut(rows: pa.RecordBatch, most: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Cut rows between ledgers into parts that are not much too large."""
    ledgers = ledgers_of(rows)
    start = 0
    while start < len(ledgers):
        end = min(start + most, len(ledgers))
        last = ledgers[end - 1]
        end = bisect_right(ledgers, last, end)
        begun = bisect_left(ledgers, last, start, end)
        if end - start > 2 * most and begun > start:
            end, last = begun, ledgers[begun - 1]
        yield rows.slice(start, end - start), last
        start = end
