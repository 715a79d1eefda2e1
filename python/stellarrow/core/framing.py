"""Framing: whole ledgers found in stored bytes, cut out of streams, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from stellarrow import _core
from stellarrow.core.errors import bytes_like, translate
from stellarrow.ledgers import LedgerChunk

_ZSTD_RATIO: Final = 11  # of ledgers with many transactions
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


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
    stream: Iterable[bytes | pa.Buffer],
    *,
    piece_bytes: int | None,
    framing: str = "auto",
    place: str | None = None,
) -> Iterator[tuple[pa.Buffer, str]]:
    """Cut a stream of stored bytes into pieces of whole ledgers, uncompressed, each with its framing.

    Pieces have at least `piece_bytes`, except the last; no more than one is held. Where that is None, a piece
    is what a block of the stream completes. `framing` is the stream's.
    """
    try:
        splitter = _core.Splitter(framing, piece_bytes or 1)
        for block in chain(stream, [None]):
            pieces = splitter.finish() if block is None else splitter.feed(bytes_like(block))
            if piece_bytes is None:
                pieces = [b"".join(pieces)] if pieces else []  # record-marked ledgers can be put together
            for piece in pieces:
                yield pa.py_buffer(piece), splitter.framing
    except _core.CoreError as error:
        raise translate(error, place) from error


def frame(
    ledgers: Sequence[bytes | pa.Buffer], framing: str, *, compression_level: int | None = None
) -> bytes:
    """Put LedgerCloseMeta values into a framing, zstd-compressed where a level is given."""
    try:
        return _core.frame([*map(bytes_like, ledgers)], framing, compression_level)
    except _core.CoreError as error:
        raise translate(error) from error


def plain_bytes(chunk: LedgerChunk) -> int:
    """Estimate how many bytes a chunk's ledgers have without compression."""
    return len(chunk.data) * (_ZSTD_RATIO if chunk.data[:4] == _ZSTD_MAGIC else 1)


def ledgers_of(chunk: LedgerChunk) -> list[bytes | pa.Buffer]:
    """Return the XDR of each ledger that a chunk is read for, where it lies there once uncompressed."""
    return opened(chunk)[1]


def opened(chunk: LedgerChunk) -> tuple[LedgerChunk, list[bytes | pa.Buffer]]:
    """Return a chunk uncompressed, and the XDR of each ledger that it is read for, where it lies there.

    Who keeps one of them keeps all of the chunk.
    """
    if chunk.framing == "single" and chunk.data[:4] != _ZSTD_MAGIC:
        return chunk, [chunk.data]
    try:
        held, framing, places = _core.cut(bytes_like(chunk.data), chunk.framing)
    except _core.CoreError as error:
        raise translate(error, chunk.where) from error
    whole = pa.py_buffer(chunk.data if held is None else held)
    wanted = places
    if len(places) != chunk.last - chunk.first + 1:
        wanted = [one for one in places if chunk.first <= one[0] <= chunk.last]
    ledgers = [whole.slice(begin, end - begin) for _, begin, end in wanted]
    return replace(chunk, data=whole, framing=framing), ledgers
