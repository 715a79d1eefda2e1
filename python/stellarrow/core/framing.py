"""Framing: whole ledgers found in stored bytes, cut out of streams, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

from stellarrow import _core
from stellarrow.core.errors import bytes_like, translate
from stellarrow.ledgers import LedgerChunk

_ZSTD_RATIO: Final = 11  # of ledgers with many transactions
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_MARK: Final = 4  # bytes before a record (RFC 5531)


def sequences(data: Any, framing: str = "auto", *, place: str | None = None) -> list[int]:
    """Return each ledger's sequence in the order they lie there, without decoding them."""
    try:
        return _core.sequences(bytes_like(data), framing)
    except _core.CoreError as error:
        raise translate(error, place) from error


def framing(data: Any, *, place: str | None = None) -> str:
    """Return the framing found in the data, such as `batch`."""
    try:
        return _core.framing(bytes_like(data))
    except _core.CoreError as error:
        raise translate(error, place) from error


def split(
    stream: Iterable[bytes], *, piece_bytes: int | None, framing: str = "auto", place: str | None = None
) -> Iterator[tuple[bytes, str]]:
    """Cut a stream of stored bytes into pieces of whole ledgers, uncompressed, each with its framing.

    Pieces have at least `piece_bytes`, except the last; no more than one is held. Where that is None, a piece
    is what a block of the stream completes. `framing` is the stream's.
    """
    try:
        splitter = _core.Splitter(framing, piece_bytes or 1)
        for block in chain(stream, [None]):
            pieces = splitter.finish() if block is None else splitter.feed(block)
            if piece_bytes is None:
                pieces = [b"".join(pieces)] if pieces else []  # record-marked ledgers can be put together
            for piece in pieces:
                yield piece, splitter.framing
    except _core.CoreError as error:
        raise translate(error, place) from error


def frame(ledgers: Sequence[bytes], framing: str, *, compression_level: int | None = None) -> bytes:
    """Put LedgerCloseMeta values into a framing, zstd-compressed where a level is given."""
    try:
        return _core.frame(ledgers, framing, compression_level)
    except _core.CoreError as error:
        raise translate(error) from error


def plain_bytes(chunk: LedgerChunk) -> int:
    """Estimate how many bytes a chunk's ledgers have without compression."""
    return len(chunk.data) * (_ZSTD_RATIO if chunk.data[:4] == _ZSTD_MAGIC else 1)


def ledgers_of(chunk: LedgerChunk) -> list[bytes]:
    """Return the XDR of each ledger that a chunk is read for."""
    if chunk.framing == "single" and chunk.data[:4] != _ZSTD_MAGIC:
        return [chunk.data]
    pieces = [piece for piece, _ in split([chunk.data], piece_bytes=1, place=chunk.where)]
    held = [piece[_MARK:] for piece in pieces]
    if len(held) == chunk.last - chunk.first + 1:
        return held
    numbers = [sequences(one, "single", place=chunk.where)[0] for one in held]
    return [one for number, one in zip(numbers, held, strict=True) if chunk.first <= number <= chunk.last]
