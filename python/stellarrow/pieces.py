"""Cut what is stored as one into chunks of whole ledgers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from stellarrow.decode import sequences, split
from stellarrow.errors import SourceError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet

_PIECE: Final = 8 << 20  # uncompressed bytes


def pieces(blocks: Iterable[bytes], wanted: LedgerRange, *, where: str) -> Iterator[LedgerChunk]:
    """Yield the wanted ledgers of a stored stream, all of them, in uncompressed chunks."""
    due = wanted.first
    for piece, framing in split(blocks, piece_bytes=_PIECE, place=where):
        for part in LedgerSet.of(sequences(piece, framing, place=where)) & LedgerSet([wanted]):
            if part.first != due:
                break
            yield LedgerChunk(piece, framing, part.first, part.end, where)
            due = part.end + 1
        if due > wanted.end:
            return
    raise SourceError(f"{where} should hold ledger {due}, by its name, but does not: fetch it again")
