"""The newest ledgers in memory: whole ledgers of each table, each once, up to so many bytes.

What came last is not what is kept: it is the highest ledgers, as a session may fill in old ones meanwhile.
Readers take a picture of a table, which later ledgers leave as it is.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.analysis.reads.order import in_order
from stellarrow.core.rows import between
from stellarrow.ledgers import LedgerRange, LedgerSet

_EMPTY: Final = LedgerSet()
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

    def picture(self, table: str) -> Picture:
        """Return what there is of a table now."""
        return self._tables.get(table, _NOTHING)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def add(self, table: str, ledgers: LedgerRange, rows: pa.RecordBatch) -> LedgerSet:
        """Take whole ledgers of a table; return those of them that were not here yet."""
        ordered = in_order(rows, table)
        with self._lock:
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
            self._make_room()
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
        """Let go of the lowest ledgers of any table, but for what each has last."""
        while self._bytes > self._most_bytes:
            lowest = min(self._removable(), key=lambda name: self._tables[name].pieces[0].first, default="")
            if not lowest:
                return
            held = self._tables[lowest]
            gone, *rest = held.pieces
            self._bytes -= gone.size_bytes
            left = held.coverage - LedgerSet([LedgerRange(gone.first, gone.last)])
            self._tables[lowest] = Picture(tuple(rest), left)

    def _removable(self) -> Iterable[str]:
        return (name for name, held in self._tables.items() if len(held.pieces) > 1)
