"""Figures that go on: the windows that ledgers behind a place have changed, as they are by then.

A window's figures are a state. Whoever comes back with a token is given each window that changed since, once,
as it is now; what it was meanwhile is not kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.figures import KeptFigures, plain_numbers
from stellarrow.analysis.reads.refusals import NotFound, Refused
from stellarrow.analysis.reads.tailing import EARLIEST, LATEST, Part, place_of
from stellarrow.analysis.request import PREFIX, FiguresRequest
from stellarrow.analysis.windows import NAMES, Question
from stellarrow.errors import ConfigError, nearest
from stellarrow.ledgers import LAST_POSSIBLE
from stellarrow.net.redaction import shortened
from stellarrow.processor.reads.cursor import Cursor, Place

_SHAPE_BYTES: Final = 6


class FiguresTail:
    """What changes of the windows of a name; each call of parts() gives what there is by then."""

    def __init__(self, figures: KeptFigures, request: FiguresRequest) -> None:
        known = [name for name, one in NAMES.items() if one.table in figures.tables]
        if request.name not in known:
            remedy = nearest(request.name, known, f"there are {', '.join(known) or 'none'}")
            raise NotFound(
                f"there are no figures {shortened(request.name)!r} here: {remedy}", field="channel"
            )
        self.request = request
        self.schema: pa.Schema = request.schema
        self.shape = hashlib.blake2b(request.ticket(), digest_size=_SHAPE_BYTES).hexdigest()
        self._figures = figures
        # Windows of all together tell which are kept: those of a key lack the windows in which it was quiet.
        self._kept = Question(request.name, request.question.window)

    def last(self) -> int:
        """Return the last ledger that is counted."""
        counted = self._figures.of(self.request.name).ledgers(self.request.name)
        return counted.end if counted else 0

    def times_counted(self) -> int:
        """Return how often all windows were counted from the beginning."""
        return self._figures.times_counted(self.request.name)

    def place(self, origin: str) -> int:
        """Return the ledger that an answer begins behind: earliest, latest, or where a token says."""
        if origin in (EARLIEST, LATEST):
            return self.last() if origin == LATEST else 0
        return place_of(origin, self.shape).after

    def token(self, after: int) -> str:
        """Return what goes on behind a ledger."""
        return Cursor(self.shape, {"": Place(after)}).token()

    def recovers(self, after: int) -> bool:
        """Tell whether every window that changed behind a ledger is still kept."""
        kept, _ = self._figures.of(self.request.name).ask([self._kept, self.request.question])
        return after == 0 or after >= self.last() or not kept.rows.num_rows or _first(kept.rows) <= after + 1

    def parts(self, after: int, *, until: int = LAST_POSSIBLE) -> Iterator[Part]:  # noqa: ARG002  as Tail's
        """Yield the windows that changed behind a ledger, as they are now; a gap where some are gone."""
        kept, found = self._figures.of(self.request.name).ask([self._kept, self.request.question])
        if found.ledgers is None or found.ledgers.end <= after:
            return
        if after and kept.rows.num_rows and (first := _first(kept.rows)) > after + 1:
            yield self.gap(after + 1, first - 1)
            after = first - 1
        changed = found.rows.filter(pc.greater(found.rows["last_ledger"], after)).combine_chunks()
        rows: list[Any] = changed.to_batches()
        begun = after + 1 if after else found.ledgers.first
        yield Part(begun, found.ledgers.end, rows[0] if rows and changed.num_rows else None)

    def recount(self) -> Part | None:
        """Return every window that there is, as it is now; None where no ledger is counted."""
        (found,) = self._figures.of(self.request.name).ask([self.request.question])
        if found.ledgers is None:
            return None
        rows: list[Any] = found.rows.combine_chunks().to_batches()
        return Part(found.ledgers.first, found.ledgers.end, rows[0] if rows else None, is_recount=True)

    def gap(self, first: int, last: int) -> Part:
        """Return what tells of ledgers whose windows are kept no more."""
        return Part(first, last, is_gap=True)

    def for_json(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows as REST writes them."""
        return plain_numbers(pa.Table.from_batches([rows])).to_batches()[0]


def request_of(channel: str, given: dict[str, str]) -> FiguresRequest:
    """Return what a channel and its parameters ask for; Refused names the one that is wrong."""
    name = channel.removeprefix(PREFIX)
    if name not in NAMES:
        remedy = nearest(name, NAMES, f"there are {', '.join(NAMES)}")
        raise NotFound(f"there are no figures {shortened(name)!r}: {remedy}", field="channel")
    try:
        return FiguresRequest.of(name, given)
    except ConfigError as error:
        raise Refused(str(error), field=next(iter(given), "channel")) from error


def _first(rows: pa.Table) -> int:
    return int(rows["first_ledger"][0].as_py())
