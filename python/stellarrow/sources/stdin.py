"""Ledgers from a pipe: read once, in any framing, without keeping more than a piece."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from stellarrow.core.framing import sequences, split
from stellarrow.errors import LedgerMissing, SourceError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet
from stellarrow.registry import SourceOptions

if TYPE_CHECKING:
    from stellarrow.telemetry.metrics import Metrics  # its library is slow to import

_WHERE: Final = "stdin"
_BLOCK: Final = 1 << 20  # bytes of the pipe that make a chunk at most, compressed or not


class StdinSource:
    """Read ledgers from a pipe. They pass once, so ranges must be read in ascending order."""

    name = _WHERE

    def __init__(self, descriptor: int = 0, *, metrics: Metrics | None = None) -> None:
        self._pieces = _chunks(descriptor)
        self._metrics = metrics
        self._next: LedgerChunk | None = None
        self._begun = False
        self._begins = 0

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> StdinSource:  # noqa: ARG003  it is always `-`
        """Open the pipe, as the registry does."""
        return cls(metrics=options.metrics)

    def available(self) -> LedgerSet:
        chunk = self._peek()
        return LedgerSet([LedgerRange(chunk.first)] if chunk else [])

    def network(self) -> None:
        """Return None: bytes in a pipe do not tell."""

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        due, begun = ledgers.first, False
        while due <= ledgers.end and (chunk := self._peek()):
            if chunk.first > due:
                if not begun and chunk.first == self._begins:
                    raise LedgerMissing(
                        f"{_WHERE} begins with ledger {chunk.first}, so there is no ledger {due}: start"
                        f" there, with {chunk.first}:"
                    )
                raise LedgerMissing(
                    f"ledger {due} is missing in {_WHERE}, which continues with {chunk.first}: add it"
                )
            begun = True
            if chunk.last >= due:
                last = min(chunk.last, ledgers.end)
                if self._metrics:
                    self._metrics.received(last - due + 1, len(chunk.data))
                yield LedgerChunk(chunk.data, chunk.framing, due, last, chunk.where)
                due = last + 1
            if chunk.last <= ledgers.end:
                self._next = None
        if ledgers.last is not None and due <= ledgers.last:
            raise LedgerMissing(
                f"ledger {due} is missing in {_WHERE}, which ends before it: add it, or ask for less"
            )

    def close(self) -> None:
        """Do nothing: the pipe belongs to whoever opened it."""

    def _peek(self) -> LedgerChunk | None:
        if self._next is None:
            self._next = next(self._pieces, None)
            if self._next is None and not self._begun:
                raise SourceError(f"{_WHERE} is empty: pipe ledgers into it")
            if self._next and not self._begun:
                self._begins = self._next.first
            self._begun = True
        return self._next


def _chunks(descriptor: int) -> Iterator[LedgerChunk]:
    last = -1
    for piece, framing in split(_blocks(descriptor), piece_bytes=None, place=_WHERE):
        numbers = sequences(piece, framing, place=_WHERE)
        for ledger in numbers:
            if ledger <= last:
                raise SourceError(
                    f"{_WHERE} has ledger {ledger} after ledger {last}: send them in order, each once"
                )
            last = ledger
        for part in LedgerSet.of(numbers):
            yield LedgerChunk(piece, framing, part.first, part.end, _WHERE)


def _blocks(descriptor: int) -> Iterator[bytes]:
    """Yield what is there, at once, and in big blocks where there is much."""
    # Without Python's buffered stdin, whose lock a reader that never wakes would hold for ever.
    while block := os.read(descriptor, _BLOCK):
        gathered = bytearray(block)
        while len(gathered) < _BLOCK and _is_ready(descriptor):
            if not (more := os.read(descriptor, _BLOCK - len(gathered))):
                break
            gathered += more
        yield bytes(gathered)


def _is_ready(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
