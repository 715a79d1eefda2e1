"""Rows of files that pages are read from: a page has a hundred rows, and what is decoded for it thousands.

Whoever reads on, and whoever reads the same meanwhile, finds them here; so many bytes are kept at most.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.analysis.reads.hot import Picture, Piece
from stellarrow.analysis.reads.order import ledgers_of
from stellarrow.ledgers import LedgerRange

Key = tuple[str, LedgerRange, tuple[str, ...]]  # a table's folder, a file's ledgers, columns

MOST_BYTES: Final = 256 << 20
_MOST_FILES: Final = 4_096  # whose runs are remembered


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    picture: Picture | None = None
    size_bytes: int = 0


class KeptRows:
    """What was read lately, by what it is of; any thread may ask."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._slots: OrderedDict[Key, _Slot] = OrderedDict()
        self._runs: OrderedDict[Key, tuple[LedgerRange, ...]] = OrderedDict()

    def runs(self, key: Key, read: Callable[[], Iterable[LedgerRange]]) -> tuple[LedgerRange, ...]:
        """Return the ledgers of each run of a file, as its end tells."""
        with self._lock:
            found = self._runs.get(key)
        if found is None:
            found = tuple(read())
            with self._lock:
                self._runs[key] = found
                if len(self._runs) > _MOST_FILES:
                    self._runs.popitem(last=False)
        return found

    def picture(self, key: Key, read: Callable[[], Iterable[pa.RecordBatch]]) -> Picture:
        """Return rows in ledger order, read by the first who asks while others wait for it."""
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
        with slot.lock:
            if slot.picture is None:
                pieces = tuple(_piece(rows) for rows in read() if rows.num_rows)
                slot.size_bytes = sum(piece.size_bytes for piece in pieces)
                slot.picture = Picture(pieces)
                self._make_room()
            return slot.picture

    def forget(self, is_gone: Callable[[Key], bool]) -> None:
        """Let go of what is no longer there."""
        with self._lock:
            for key in [key for key in self._slots if is_gone(key)]:
                del self._slots[key]
            for key in [key for key in self._runs if is_gone(key)]:
                del self._runs[key]

    @property
    def size_bytes(self) -> int:
        with self._lock:
            return sum(slot.size_bytes for slot in self._slots.values())

    def _make_room(self) -> None:
        with self._lock:
            held = sum(slot.size_bytes for slot in self._slots.values())
            while held > self._most_bytes and self._slots:
                _, gone = self._slots.popitem(last=False)
                held -= gone.size_bytes


def _piece(rows: pa.RecordBatch) -> Piece:
    ledgers = ledgers_of(rows)
    return Piece(ledgers[0], ledgers[-1], rows, rows.nbytes)
