"""The same ledgers out of two sources, compared byte by byte: what no hash covers, a second witness tells."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from stellarrow.core.decode import decode
from stellarrow.core.framing import ledgers_of
from stellarrow.errors import DecodeError, SourceError, StellarrowError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.protocols import Source


@dataclass(frozen=True, slots=True)
class Difference:
    """A ledger of which two sources have different bytes; `path` is the first value that differs."""

    ledger: int
    path: str
    offset: int


def differences(one: Source, other: Source, ledgers: LedgerSet, *, network: Network) -> Iterator[Difference]:
    """Yield every ledger that differs, in order; each source must have all of them."""
    for part in ledgers:
        with closing(_each(one, part)) as ours, closing(_each(other, part)) as theirs:
            for number, (mine, its) in enumerate(zip(ours, theirs, strict=True), part.first):
                if mine != its:
                    offset = _first_difference(mine, its)
                    yield Difference(number, _path(mine, offset, network), offset)


def _each(source: Source, part: LedgerRange) -> Generator[bytes]:
    due = part.first
    for chunk in source.read(part):
        held = ledgers_of(chunk)
        if (chunk.first, len(held)) != (due, chunk.last - due + 1):
            raise SourceError(f"{chunk.where} should hold ledger {due} but does not: fetch it again")
        due = chunk.last + 1
        yield from held


def _first_difference(mine: bytes, its: bytes) -> int:
    """Return the offset of the first byte that differs, by halves: comparing slices is fast."""
    same, end = 0, min(len(mine), len(its))
    while same < end:
        middle = (same + end + 1) // 2
        if mine[same:middle] == its[same:middle]:
            same = middle
        else:
            end = middle - 1
    return same


def _path(ledger: bytes, offset: int, network: Network) -> str:
    """Return the path of the value at an offset: that of the fault where the bytes end there."""
    try:
        decode(ledger[:offset], ["ledgers"], framing="single", network=network)
    except DecodeError as error:
        return error.path or ""
    except StellarrowError:
        return ""
    return "the end"
