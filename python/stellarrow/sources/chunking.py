"""Chunks of whole ledgers: cut out of what is stored as one, and read once more."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Final

from stellarrow.core.framing import sequences, split
from stellarrow.errors import SourceError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet

_PIECE: Final = 8 << 20  # uncompressed bytes


def pieces(
    blocks: Iterable[bytes], wanted: LedgerRange, *, where: str, fetched: bool = False
) -> Iterator[LedgerChunk]:
    """Yield the wanted ledgers of a stored stream, all of them, in uncompressed chunks."""
    due = wanted.first
    for piece, framing in split(blocks, piece_bytes=_PIECE, place=where):
        for part in LedgerSet.of(sequences(piece, framing, place=where)) & LedgerSet([wanted]):
            if part.first != due:
                break
            yield LedgerChunk(piece, framing, part.first, part.end, where, fetched)
            due = part.end + 1
        if due > wanted.end:
            return
    raise SourceError(f"{where} should hold ledger {due}, by its name, but does not: fetch it again")


def read_again(
    read: Callable[[LedgerRange], Generator[LedgerChunk]], chunk: LedgerChunk, *, name: str
) -> LedgerChunk:
    """Return a chunk as its source gives it now; where it cuts otherwise, SourceError."""
    with closing(read(LedgerRange(chunk.first, chunk.last))) as chunks:
        for fresh in chunks:
            if (fresh.first, fresh.last) == (chunk.first, chunk.last):
                return fresh
    raise SourceError(f"{name} gives ledgers {chunk.first} to {chunk.last} in other pieces now")
