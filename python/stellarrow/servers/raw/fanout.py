"""A run of ledgers being read, with a window of the latest of them that several readers share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from stellarrow.servers.raw.verified import Ledger

_READ_CHUNK_LEDGERS: Final = 4 << 20  # bytes a reader takes at once
_POLL_SECONDS: Final = 0.5  # seconds after which a waiting reader sees whether its client has gone


class FanoutBuffer:
    """Ledgers from `first` on, appended by one thread, read by many: each where it is, in a bounded window.

    The window keeps at most `budget` bytes, and always the last ledger. A reader that falls out of it must
    look elsewhere; a slow one holds nobody up. Where `ahead` is given, appending waits until the foremost
    reader is less than so many bytes behind, and ends when none is left.
    """

    def __init__(self, first: int, *, budget: int, ahead: int | None = None) -> None:
        self._next = first
        self.budget = budget
        self._ahead = ahead
        self._window: deque[Ledger] = deque()
        self._begins: deque[int] = deque()  # at how many bytes of all that were appended each ledger begins
        self._bytes = 0
        self._readers: set[Reader] = set()
        self._error: Exception | None = None
        self._ended = False
        self._changed = threading.Condition()

    @property
    def first(self) -> int:
        """The oldest ledger in the window, or the next one where it is empty."""
        with self._changed:
            return self._first

    @property
    def _first(self) -> int:
        return self._next - len(self._window)

    @property
    def next(self) -> int:
        return self._next

    @property
    def depth(self) -> int:
        return len(self._window)

    @property
    def last(self) -> Ledger | None:
        with self._changed:
            return self._window[-1] if self._window else None

    @property
    def ended(self) -> bool:
        return self._ended

    def holds(self, due: int) -> bool:
        """Tell whether a ledger is in the window, or comes next."""
        with self._changed:
            return self._first <= due <= self._next

    def append(self, ledgers: list[Ledger]) -> bool:
        """Take ledgers into the window, one by one as readers come; False where nobody wants more."""
        with self._changed:
            self._error = None
            for ledger in ledgers:
                self._push(ledger)
                self._changed.notify_all()
                if not self._wanted():
                    return False
            return not self._ended

    def _push(self, ledger: Ledger) -> None:
        self._window.append(ledger)
        self._begins.append(self._bytes)
        self._bytes += len(ledger.xdr)
        self._next = ledger.sequence + 1
        # A ledger that even the foremost reader has still before it stays, however large what follows is.
        kept = self._foremost() if self._ahead is not None else self._next
        while (
            len(self._window) > 1
            and self._bytes - self._begins[0] > self.budget
            and self._window[0].sequence < kept
        ):
            self._window.popleft()
            self._begins.popleft()

    def _wanted(self) -> bool:
        """Wait, where the readers set the pace, until more is wanted; False where it never will be."""
        while self._ahead is not None and not self._ended:
            if not self._readers:
                return False
            if self._unread() < self._ahead:
                break
            self._changed.wait()
        return not self._ended

    def fail(self, error: Exception) -> None:
        """Tell the readers who wait for the next ledger why it does not come; append() mends it."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def end(self) -> None:
        """Let readers take what is there and go."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def attach(self, due: int) -> Reader:
        """Return a reader that begins at a ledger; it must be closed."""
        reader = Reader(self, due)
        with self._changed:
            self._readers.add(reader)
        return reader

    def detach(self, reader: Reader) -> None:
        with self._changed:
            self._readers.discard(reader)
            self._changed.notify_all()

    def take(self, reader: Reader, gone: Callable[[], bool]) -> list[Ledger]:
        with self._changed:
            while reader.due >= self._next:
                if self._ended or gone():
                    return []
                if self._error is not None:
                    raise self._error
                self._changed.wait(_POLL_SECONDS)
            place = reader.due - self._first
            if place < 0 or gone():
                return []
            taken: list[Ledger] = []
            size = 0
            while size < _READ_CHUNK_LEDGERS and place + len(taken) < len(self._window):
                taken.append(self._window[place + len(taken)])
                size += len(taken[-1].xdr)
            reader.due = taken[-1].sequence + 1
            self._changed.notify_all()
            return taken

    def _foremost(self) -> int:
        return max((reader.due for reader in self._readers), default=self._next)

    def _unread(self) -> int:
        """Return how many bytes the foremost reader has before it."""
        place = self._foremost() - self._first
        if place >= len(self._begins):
            return 0
        return self._bytes - self._begins[max(0, place)]


class Reader:
    """A place in a reel."""

    def __init__(self, reel: FanoutBuffer, due: int) -> None:
        self._reel = reel
        self.due = due

    def take(self, gone: Callable[[], bool]) -> list[Ledger]:
        """Wait for the next ledgers; none where they left the window, the reel ended or `gone` says so."""
        return self._reel.take(self, gone)

    def close(self) -> None:
        self._reel.detach(self)
