"""The newest ledgers in memory: whole ledgers of each table, each once, up to so many bytes.

What came last is not what is kept: it is the highest ledgers, as a session may fill in old ones meanwhile.
Readers take a picture of a table, which later ledgers leave as it is. What a writer of files has yet to make
durable stays, and who brings ledgers waits for room meanwhile.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.analysis.reads.order import in_order
from stellarrow.core.rows import between
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet

_EMPTY: Final = LedgerSet()
_EVERY: Final = LedgerSet([LedgerRange(0, LAST_POSSIBLE)])
_LOOK_SECONDS: Final = 0.02  # between looks whether there is room
_MERGED_ROWS: Final = 1 << 15  # pieces are merged up to so many: a reader looks at few pieces
_LOOSE_ROWS: Final = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of consecutive ledgers, in order."""

    first: int
    last: int
    rows: pa.RecordBatch = field(repr=False)
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What a table holds at a moment, in ledger order."""

    pieces: tuple[Piece, ...] = ()
    coverage: LedgerSet = _EMPTY

    def within(self, ledgers: LedgerRange, *, descending: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ledgers that are here, piece by piece, each in order, without copying."""
        first = bisect_left(self.pieces, ledgers.first, key=lambda piece: piece.last)
        end = bisect_right(self.pieces, ledgers.end, lo=first, key=lambda piece: piece.first)
        for at in range(end - 1, first - 1, -1) if descending else range(first, end):
            piece = self.pieces[at]
            whole = ledgers.first <= piece.first and piece.last <= ledgers.end
            yield piece.rows if whole else between(piece.rows, ledgers)


_NOTHING: Final = Picture()


class Hot:
    """Rows of several tables; any thread may add, and any may look."""

    def __init__(self, tables: Sequence[str], *, most_bytes: int) -> None:
        self.tables = frozenset(tables)
        self._lock = threading.Lock()
        self._tables = dict.fromkeys(tables, Picture())
        self._most_bytes = most_bytes
        self._bytes = 0
        self._came = _EMPTY
        self._writers: tuple[Callable[[], LedgerSet], ...] = ()

    def picture(self, table: str) -> Picture:
        """Return what there is of a table now."""
        return self._tables.get(table, _NOTHING)

    @property
    def came(self) -> LedgerSet:
        """The ledgers that any table was given, also those that memory let go of since."""
        return self._came

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def add(self, table: str, ledgers: LedgerRange, rows: pa.RecordBatch) -> LedgerSet:
        """Take whole ledgers of a table; return those of them that were not here yet."""
        return self.add_all(ledgers, {table: rows})

    def add_all(self, ledgers: LedgerRange, rows: Mapping[str, pa.RecordBatch]) -> LedgerSet:
        """Take whole ledgers of several tables at once; return those that were not here yet in any."""
        ordered = {table: in_order(one, table) for table, one in rows.items()}
        new = LedgerSet()
        with self._lock:
            for table, one in ordered.items():
                new |= self._insert(table, ledgers, one)
            self._make_room()
        return new

    def hold(self, durable: Callable[[], LedgerSet]) -> Callable[[], None]:
        """Keep the ledgers that a writer of every table has yet to make durable; return what ends that."""
        with self._lock:
            self._writers = (*self._writers, durable)

        def end() -> None:
            with self._lock:
                self._writers = tuple(one for one in self._writers if one is not durable)
                self._make_room()

        return end

    def make_room(self) -> bool:
        """Let go of what writers no longer need, if memory is full; tell whether something went."""
        with self._lock:
            before = self._bytes
            self._make_room()
            return self._bytes < before

    @property
    def is_full(self) -> bool:
        """Whether memory is full, and writers can make room: every table has ledgers that are not durable."""
        with self._lock:
            return self._bytes > self._most_bytes and bool(self._due())

    def wait_for_room(self, table: str, stop: threading.Event) -> None:
        """Wait while memory is full of what writers have yet to take.

        A table that is behind the others is not waited with, unless writers can go on without it.
        """
        while not stop.is_set() and (self.is_full or self._is_ahead(table)):
            stop.wait(_LOOK_SECONDS)

    def _is_ahead(self, table: str) -> bool:
        with self._lock:
            is_full = bool(self._writers) and self._bytes > self._most_bytes
            return is_full and _last(self._tables[table]) > self._passed()

    def _insert(self, table: str, ledgers: LedgerRange, ordered: pa.RecordBatch) -> LedgerSet:
        held = self._tables[table]
        new = LedgerSet([ledgers]) - held.coverage
        pieces = list(held.pieces)
        for part in new:
            own = ordered if part == ledgers else between(ordered, part)
            piece = Piece(part.first, part.end, own, own.nbytes + 1)
            at = bisect_left(pieces, part.first, key=lambda one: one.first)
            pieces.insert(at, piece)
            self._bytes += piece.size_bytes
            self._merge(pieces, at)
        self._tables[table] = Picture(tuple(pieces), held.coverage | new)
        self._came |= new
        return new

    def _merge(self, pieces: list[Piece], at: int) -> None:
        """Join a piece with those before it, while these are not much larger: a row is copied a few times."""
        while at and pieces[at].first == pieces[at - 1].last + 1:
            before, piece = pieces[at - 1], pieces[at]
            count = before.rows.num_rows + piece.rows.num_rows
            if count > _MERGED_ROWS or before.rows.num_rows > 2 * piece.rows.num_rows + _LOOSE_ROWS:
                return
            joined = pa.concat_batches([before.rows, piece.rows])
            self._bytes += joined.nbytes + 1 - before.size_bytes - piece.size_bytes
            at -= 1
            pieces[at : at + 2] = [Piece(before.first, piece.last, joined, joined.nbytes + 1)]

    def _make_room(self) -> None:
        """Let go of the lowest ledgers of any table, but for what each has last and what writers need."""
        if self._bytes <= self._most_bytes:
            return
        self._drop(self._durable())
        if self._writers and not self._due():
            # No table brings any more what others have there: nobody can write it.
            self._drop(LedgerSet([LedgerRange(0, self._passed())]))

    def _drop(self, free: LedgerSet) -> None:
        removable = [
            (piece.first, name, piece)
            for name, held in self._tables.items()
            for piece in held.pieces[:-1]
            if not LedgerSet([LedgerRange(piece.first, piece.last)]) - free
        ]
        for _, name, gone in sorted(removable, key=lambda one: one[:2]):
            if self._bytes <= self._most_bytes:
                return
            held = self._tables[name]
            self._bytes -= gone.size_bytes
            left = held.coverage - LedgerSet([LedgerRange(gone.first, gone.last)])
            self._tables[name] = Picture(tuple(one for one in held.pieces if one is not gone), left)

    def _durable(self) -> LedgerSet:
        """Return what every writer has made durable."""
        found = _EVERY
        for durable in self._writers:
            found &= durable()
        return found

    def _due(self) -> LedgerSet:
        """Return what every table has, and a writer has yet to make durable."""
        if not self._writers:
            return _EMPTY
        found = _EVERY
        for held in self._tables.values():
            found &= held.coverage
        return found - self._durable()

    def _passed(self) -> int:
        """Return the last ledger that every table has come to."""
        return min(map(_last, self._tables.values()), default=0)


def _last(held: Picture) -> int:
    return held.coverage.last if held.coverage else 0
