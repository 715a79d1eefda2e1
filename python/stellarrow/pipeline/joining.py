"""Which chunks are decoded together: many small ones that wait cost less as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from stellarrow.core.framing import plain_bytes
from stellarrow.ledgers import LedgerChunk

TOGETHER_BYTES: Final = 6 << 20  # of ledgers; beyond that, memory gets slower by more than is saved
_MOST: Final = 64  # chunks


@runtime_checkable
class Joining(Protocol):
    """A decoder that takes chunks that follow each other in one call, as each call has a price."""

    def joins(self, taken: Sequence[LedgerChunk], chunk: LedgerChunk) -> bool:
        """Tell whether it takes a chunk along with those taken before it."""


def go_on(taken: Sequence[LedgerChunk], chunk: LedgerChunk, *, most: int = TOGETHER_BYTES) -> bool:
    """Tell whether a chunk goes on where others end, is stored alike, and all have `most` bytes at most."""
    first, last = taken[0], taken[-1]
    if len(taken) >= _MOST or chunk.first != last.last + 1 or first.trace or chunk.trace:
        return False
    if (chunk.framing, chunk.fetched) != (first.framing, first.fetched):
        return False
    return sum(map(plain_bytes, taken)) + plain_bytes(chunk) <= most
