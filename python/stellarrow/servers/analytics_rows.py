"""A table's rows for one reader over Flight: what is there, then what comes, and where to go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.tailing import EARLIEST, LATEST, Part, Tail
from stellarrow.core.rows import no_rows
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange
from stellarrow.processor.reads.cursor import Cursor, Place
from stellarrow.servers.analytics_commands import RowsCommand

_ROWS: Final = 16_384  # of a batch
_MESSAGE_BYTES: Final = 3 << 20  # clients of gRPC take 4 MiB unless told otherwise
_LOOK_SECONDS: Final = 0.25  # between looks at whether the reader is still there
_PROGRESS_SECONDS: Final = 5.0  # between words that ledgers passed without rows

Sent = tuple[pa.RecordBatch, Mapping[str, Any]]


@dataclass(slots=True)
class RowStream:
    """One reader's way through a table; `gone` tells whether it has left."""

    tables: Tables
    command: RowsCommand
    gone: Callable[[], bool]
    _tail: Tail = field(init=False)
    _place: Place = field(init=False)
    _silent_from: int = field(init=False, default=0)  # the first ledger that no batch tells of
    _gaps: list[list[int]] = field(init=False, default_factory=list)
    _left: list[dict[str, Any]] = field(init=False, default_factory=list)  # of gaps: what became of them
    _told: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._tail = Tail(self.tables, self.command.question)
        self._place = self._begun()

    @property
    def schema(self) -> pa.Schema:
        return self._tail.schema

    def batches(self) -> Iterator[Sent]:
        """Yield batches and what is told of each, until the end of what was asked for, or of the service."""
        changed = threading.Event()
        unlisten = self.tables.listen(changed.set)
        end = self.command.question.ledgers.end
        until = min(end, LAST_POSSIBLE) if self.command.follow else self._as_of(end)
        try:
            while True:
                changed.clear()
                yield from self._there(until)
                yield from self._gap()
                if self.gone() or not self.command.follow or self._place.after >= until:
                    self._note_what_is_beyond()
                    yield from self._rest()
                    yield from self._gap()
                    return
                if time.monotonic() - self._told >= _PROGRESS_SECONDS:
                    yield from self._rest()
                while not changed.wait(_LOOK_SECONDS):
                    if self.gone():
                        return
                if self.tables.is_closed:
                    return
        finally:
            unlisten()

    def _note_what_is_beyond(self) -> None:
        """Name what was asked for and lies before or behind all that is here: an empty answer would not."""
        last, after = self.command.question.ledgers.last, self._place.after
        if last is not None and last <= after:
            return
        told = self.tables.snapshot(self.command.question.table).gaps(LedgerRange(after + 1, last))
        self._left += [one.to_dict() for one in told]
        self._gaps += [[after + 1, last]] if last is not None else [[one.first, one.last] for one in told]

    def _as_of(self, end: int) -> int:
        return min(end, self._tail.last())

    def _begun(self) -> Place:
        command = self.command
        before = max(0, command.question.ledgers.first - 1)
        if command.origin == LATEST:
            return Place(self._tail.place(LATEST))
        if command.origin == EARLIEST:
            earliest, last = self._tail.place(EARLIEST), command.question.ledgers.last
            is_before_all = last is not None and last <= earliest
            return Place(before if before or is_before_all else earliest)
        places = Cursor.of_token(command.origin, shape=command.question.shape).places
        if set(places) != {""}:
            raise ConfigError('"from" is no resume of these rows: begin from earliest or latest')
        return max(places[""], Place(before))

    def _there(self, until: int) -> Iterator[Sent]:
        """Yield what is here by now."""
        for part in self._tail.parts(self._place.after, until=until, rows=_ROWS, size=_MESSAGE_BYTES // 2):
            if self.gone():
                return
            if part.is_gap:
                yield from self._rest()
                self._gaps.append([part.first, part.last])
                self._left += [part.absence.to_dict()] if part.absence else []
            else:
                yield from self._part(part)
            self._place = Place(part.last)

    def _part(self, part: Part) -> Iterator[Sent]:
        first = self._silent_from or part.first
        if part.rows is None:
            self._silent_from = first
            return
        self._silent_from = 0
        size = max(
            1, min(part.rows.num_rows, _MESSAGE_BYTES * part.rows.num_rows // max(1, part.rows.nbytes))
        )
        for start in range(self._place.row, part.rows.num_rows, size):
            sent = part.rows.slice(start, size)
            # What is more than a message is the rows of one ledger.
            behind = start + sent.num_rows
            is_whole = behind == part.rows.num_rows
            yield (
                sent,
                self._say(first, part.last, Place(part.last) if is_whole else Place(part.last - 1, behind)),
            )
        self._place = Place(part.last)

    def _rest(self) -> Iterator[Sent]:
        """Tell of ledgers that passed without rows."""
        if self._silent_from:
            first, self._silent_from = self._silent_from, 0
            empty = no_rows(self._tail.schema)
            yield empty, self._say(first, self._place.after, self._place)

    def _gap(self) -> Iterator[Sent]:
        """Tell of ledgers that are not here behind all that was sent, in a batch of no ledger."""
        if self._gaps and not self._silent_from:
            yield no_rows(self._tail.schema), self._say(0, 0, self._place)

    def _say(self, first: int, last: int, place: Place) -> dict[str, Any]:
        """Return what is told of a batch; ledgers that are not here belong to none, and are named."""
        self._told = time.monotonic()
        told: dict[str, Any] = {
            "first_ledger": first,
            "last_ledger": last,
            "complete": not last or place.after == last,
            "resume": Cursor(self.command.question.shape, {"": place}).token(),
        }
        if self._gaps:
            told["gaps"], self._gaps = self._gaps, []
        if self._left:
            told["left"], self._left = self._left, []
        if network := self.tables.network:
            told["network"] = network.passphrase
        return told
