"""Rows as they are kept, cut into batches as they are sent: each knows its ledgers and where to resume."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.processor.reads.cursor import Place
from stellarrow.spool.spool import Piece

# Of rows in a batch: clients of gRPC take messages of at most 4 MiB unless told otherwise.
_MESSAGE_BYTES: Final = 3 << 20
_TOGETHER: Final = 8  # batches that are cut of what was gathered
_LEDGER: Final = "ledger_sequence"  # uint32, ascending, in every table


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch, the ledgers it is of, and the place behind it.

    Ledgers without rows belong to the batch that follows them; those left out belong to none. `complete`
    tells that no row of the last ledger is still to come.
    """

    rows: pa.RecordBatch
    first: int
    last: int
    complete: bool
    place: Place
    session: str = ""  # whose rows they are; none of a range
    network: str = ""  # the passphrase, where it is known
    traces: Mapping[int, str] = field(default_factory=dict)  # of its chunks, where they are recorded


Stream = Generator[tuple[Sent, str]]  # each batch with the token to resume behind it


class Rows:
    """Rows of consecutive ledgers in the parts they are kept in, joined only where a batch crosses two."""

    def __init__(self, parts: Sequence[pa.RecordBatch]) -> None:
        self._parts = [part for part in parts if part.num_rows] or [*parts[:1]]
        self._ends: list[int] = [*accumulate(part.num_rows for part in self._parts)]
        columns = [part.column(_LEDGER) for part in self._parts]
        self.ledgers = _numbers(columns[0] if len(columns) == 1 else pa.concat_arrays(columns))

    def __len__(self) -> int:
        return self._ends[-1]

    def between(self, at: int, end: int) -> pa.RecordBatch:
        """Return the rows from one on, up to another; a copy only where they lie in several parts."""
        begun = min(bisect_right(self._ends, at), len(self._parts) - 1)
        taken = []
        while True:
            begins = self._ends[begun] - self._parts[begun].num_rows
            skipped = max(at - begins, 0)
            taken.append(self._parts[begun].slice(skipped, min(end, self._ends[begun]) - begins - skipped))
            if end <= self._ends[begun]:
                return taken[0] if len(taken) == 1 else pa.concat_batches(taken)
            begun += 1


class Cutter:
    """Cut rows in ledger order into batches of at most `size` rows that fit into a message."""

    def __init__(self, size: int, place: Place, pick: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
        self.place = place
        self._size = size
        self._pick = pick
        self._due: int | None = None  # the first ledger no batch was sent for
        self._silent: pa.RecordBatch | None = None  # an empty batch, where ledgers passed without rows

    def cut(self, first: int, last: int, parts: Sequence[pa.RecordBatch]) -> Iterator[Sent]:
        """Yield the batches of ledgers; those without rows wait for what comes after them, up to a gap."""
        rows = Rows(parts)
        ledgers = rows.ledgers
        at = self.place.row if first == self.place.after + 1 else 0
        if at > bisect_right(ledgers, first):
            raise ConfigError(
                f"the resume token is of row {at} of ledger {first}, which has fewer: read from earliest"
            )
        if first > self.place.after + 1:
            yield from self.rest()
            self._due = None
        self._due = first if self._due is None else self._due
        while at < len(rows):
            end, picked = self._fitting(rows, at, min(at + self._size, len(rows)))
            sent_last, complete, place = _behind(ledgers, end, last)
            self.place = place
            if picked.num_rows:
                yield self._sent(picked, sent_last, complete)
            else:
                self._silent = picked
            at = end
        if self.place.after < last:
            self.place = Place(last)
            self._silent = self._pick(rows.between(0, 0))

    def _fitting(self, rows: Rows, at: int, end: int) -> tuple[int, pa.RecordBatch]:
        """Return where a batch from a row on ends so that it fits into a message, and its rows."""
        picked = self._pick(rows.between(at, end))
        while (size := pa.ipc.get_record_batch_size(picked)) > _MESSAGE_BYTES and end - at > 1:
            fewer = (end - at) * _MESSAGE_BYTES // size
            end = at + max(1, min(fewer, (end - at) // 2))
            picked = self._pick(rows.between(at, end))
        return end, picked

    def rest(self) -> Iterator[Sent]:
        """Yield an empty batch where ledgers without rows are waiting, so that readers know of them."""
        if self._silent is not None and self._due is not None and self.place.after >= self._due:
            yield self._sent(self._silent, self.place.after, self.place.row == 0)

    def _sent(self, rows: pa.RecordBatch, last: int, complete: bool) -> Sent:
        first = last if self._due is None else min(self._due, last)
        self._due = last + 1 if complete else last
        self._silent = None
        return Sent(rows, first, last, complete, self.place)


def gathered(pieces: Iterable[Piece], size: int) -> Iterator[Sequence[Piece]]:
    """Put consecutive pieces together, uncopied, until they have rows for several batches of a size.

    So all batches but the last are full for one who is behind: each costs sender and reader as much as
    several hundred rows.
    """
    held: list[Piece] = []
    rows = bytes_held = 0
    for piece in pieces:
        if held and (
            rows >= size * _TOGETHER
            or bytes_held >= _MESSAGE_BYTES * _TOGETHER
            or piece.first != held[-1].last + 1
        ):
            yield held
            held, rows, bytes_held = [], 0, 0
        held.append(piece)
        rows += piece.rows.num_rows
        bytes_held += piece.rows.get_total_buffer_size()
    if held:
        yield held


def _behind(ledgers: memoryview, end: int, last: int) -> tuple[int, bool, Place]:
    """Return the last ledger of the rows before `end`, whether it is complete, and the place behind them."""
    if end == len(ledgers):
        return last, True, Place(last)
    ledger, following = ledgers[end - 1], ledgers[end]
    if ledger != following:
        return following - 1, True, Place(following - 1)
    return ledger, False, Place(ledger - 1, end - bisect_left(ledgers, ledger))


def _numbers(ledgers: pa.Array) -> memoryview:
    if not len(ledgers):
        return memoryview(b"").cast("I")
    return memoryview(ledgers.buffers()[1]).cast("I")[ledgers.offset : ledgers.offset + len(ledgers)]
