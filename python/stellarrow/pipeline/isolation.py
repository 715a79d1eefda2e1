"""A chunk that cannot be decoded whole: fetched again, then taken apart into what is good and what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stellarrow.core.framing import framing, sequences, split
from stellarrow.errors import ChainBroken, DecodeError, SourceError, StellarrowError
from stellarrow.ledgers import LedgerBatch, LedgerChunk

Decode = Callable[..., LedgerBatch]
# What another fetch, or leaving ledgers out, may help against; of another network are all or none.
_FAULTS = (ChainBroken, DecodeError, SourceError)
_BLOCK: Final = 256  # bytes
_FETCHES: Final = 4  # of a chunk that cannot be decoded: from several places, or damaged on the way


@dataclass(frozen=True, slots=True)
class Outcome:
    """Stored ledgers and their rows, or the error that they have none."""

    chunk: LedgerChunk
    batch: LedgerBatch | None = None
    error: StellarrowError | None = None


def outcomes(
    chunk: LedgerChunk,
    decode: Decode,
    refetch: Callable[[LedgerChunk], LedgerChunk] | None = None,
    *,
    fetches: int = _FETCHES,
) -> list[Outcome]:
    """Decode a chunk; where that fails, what `refetch` brings; where that fails, ledger by ledger."""
    try:
        return [Outcome(chunk, decode(chunk))]
    except _FAULTS as error:
        fault = error
    if refetch and fetches and (fresh := _fetched_again(chunk, refetch)):
        return outcomes(fresh, decode, refetch, fetches=fetches - 1)
    return list(apart(chunk, decode, fault))


def together(chunks: Sequence[LedgerChunk], decode: Decode) -> Outcome | None:
    """Decode chunks that follow each other at once; None where that fails: each alone tells which is bad."""
    try:
        batch = decode(*chunks)
    except StellarrowError:
        return None
    return Outcome(replace(chunks[0], data=b"", last=chunks[-1].last), batch)


def refetching(decode: Decode, refetch: Callable[[LedgerChunk], LedgerChunk]) -> Decode:
    """Return what decodes a chunk whole, fetched again where it cannot be as it came."""

    def decoded(chunk: LedgerChunk) -> LedgerBatch:
        for _ in range(_FETCHES):
            try:
                return decode(chunk)
            except _FAULTS:
                if (fresh := _fetched_again(chunk, refetch)) is None:
                    raise
                chunk = fresh
        return decode(chunk)

    return decoded


def _fetched_again(chunk: LedgerChunk, refetch: Callable[[LedgerChunk], LedgerChunk]) -> LedgerChunk | None:
    """Return the chunk as it is stored now, None where that is the same or cannot be told."""
    try:
        fresh = refetch(chunk)
    except SourceError:
        return None
    return replace(fresh, trace=chunk.trace) if fresh.data != chunk.data else None


def apart(chunk: LedgerChunk, decode: Decode, fault: StellarrowError | None = None) -> Iterator[Outcome]:
    """Decode ledgers one by one; what comes after one whose end cannot be found stays with it.

    `fault` is the error known of the whole chunk.
    """
    due = chunk.first
    try:
        stored = chunk.framing if chunk.framing != "auto" else framing(chunk.data, place=chunk.where)
        for piece, cut in split(_blocks(chunk.data), piece_bytes=1, framing=stored, place=chunk.where):
            held = sequences(piece, cut, place=chunk.where)
            if held[-1] < due:
                continue
            if held != [due]:
                break
            yield _decoded(replace(chunk, data=piece, framing=cut, first=due, last=due), decode, fault)
            due += 1
            if due > chunk.last:
                return
    except DecodeError as error:
        fault = fault or error
    missing = SourceError(f"{chunk.where} should hold ledger {due} but does not: fetch it again")
    yield Outcome(replace(chunk, first=due), error=fault or missing)


def _blocks(data: bytes) -> Iterator[bytes]:
    """Cut finely: the ledgers of a block in which the splitter finds a fault are lost to it."""
    return (data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK))


def _decoded(chunk: LedgerChunk, decode: Decode, fault: StellarrowError | None) -> Outcome:
    try:
        return Outcome(chunk, decode(chunk))
    except _FAULTS as error:
        # The fault of the whole chunk tells the offset in the place that `where` names.
        same = getattr(fault, "ledger", None) == chunk.first
        return Outcome(chunk, error=fault if same else error)
