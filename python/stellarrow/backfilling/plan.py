"""Which ledgers are whose: a range cut at the sinks' own parts into shards that take about as long.

A cut depends on what is wanted, the sinks' parts and the bytes that the source stores, and on nothing that
changes while shards are extracted. So processes that know nothing of each other cut alike.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.protocols import Divided, Measured, Sink, Source

_SAMPLES: Final = 64  # parts whose bytes are asked for; those between them are like their neighbours
_MOST: Final = 100_000  # shards
_PARTS_OF_A_SHARD: Final = 16  # at least, where sinks do not say
_FORM: Final = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)

Weight = Callable[[LedgerRange], int]


@dataclass(frozen=True, slots=True)
class ShardNumber:
    """Which of how many shards, counted from 0 as Kubernetes counts the pods of an indexed job."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> ShardNumber:
        """Read I/N."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ConfigError(f"{text!r} is no shard: write I/N, such as 0/8 for the first of eight")
        index, count = int(match[1]), int(match[2])
        check_count(count)
        if index >= count:
            raise ConfigError(f"{text} is no shard: of {count} the last is {count - 1}/{count}")
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard's ledgers, which of them the sinks lack, and the bytes stored of all, where that is known.

    `absent` are those that the sinks lack and the source does too; they are not among the missing.
    """

    number: ShardNumber
    ledgers: LedgerSet
    missing: LedgerSet
    stored_bytes: int | None
    absent: LedgerSet = field(default_factory=LedgerSet)


def plan(
    source: Source, sinks: Sequence[Sink], wanted: LedgerSet, covered: LedgerSet, *, shards: int
) -> list[Shard]:
    """Cut what is wanted into shards, some of them empty where there are fewer parts than shards.

    Raises:
        ConfigError: The range is open, or there are no shards or too many.
    """
    check_count(shards)
    size = ledgers_per_part(sinks, wanted, shards)
    weight = weights(source, wanted, size)
    there = source.available()  # it may grow while shards are extracted, so the cut does not depend on it
    found = []
    for index, part in enumerate(cut(wanted, shards, size, weight)):
        lacking = part - covered
        absent = lacking - there if there else LedgerSet()
        stored = sum(map(weight, part)) if isinstance(source, Measured) else None
        found.append(Shard(ShardNumber(index, shards), part, lacking - absent, stored, absent))
    return found


def shard_of(source: Source, sinks: Sequence[Sink], wanted: LedgerSet, number: ShardNumber) -> LedgerSet:
    """Return one shard's ledgers of what is wanted, the same in every process that asks."""
    size = ledgers_per_part(sinks, wanted, number.count)
    return cut(wanted, number.count, size, weights(source, wanted, size))[number.index]


def cut(wanted: LedgerSet, shards: int, size: int, weight: Weight) -> list[LedgerSet]:
    """Cut a set where a ledger is a multiple of `size` into runs of about the same weight, in order."""
    if wanted and wanted.ranges[-1].last is None:
        raise ConfigError("the range has no end, so shards would not agree on it: give --ledgers A:B")
    parts = [(window, pieces, sum(map(weight, pieces))) for window, pieces in _windows(wanted, size)]
    total = sum(each for *_, each in parts) or 1
    found: list[list[LedgerRange]] = [[] for _ in range(shards)]
    before = 0
    for _, pieces, each in parts:
        middle = 2 * before + each  # twice the middle, as whole numbers come out alike everywhere
        found[min(shards - 1, middle * shards // (2 * total))] += pieces
        before += each
    return [LedgerSet(pieces) for pieces in found]


def weights(source: Source, wanted: LedgerSet, size: int) -> Weight:
    """Return what says how much work a range is: stored bytes, by samples, or else its ledgers."""
    if not isinstance(source, Measured) or not wanted or wanted.ranges[-1].last is None:
        return lambda part: part.count
    windows = [pieces for _, pieces in _windows(wanted, size)]
    step = max(1, math.ceil(len(windows) / _SAMPLES))
    firsts, densities = [], []
    for pieces in windows[step // 2 :: step]:
        sample = LedgerSet(pieces)
        firsts.append(sample.first)
        densities.append((source.stored_bytes(sample), sample.count))

    def weight(part: LedgerRange) -> int:
        at = bisect_right(firsts, part.first)
        nearby = densities[max(0, at - 1) : at + 1]
        size, count = sum(size for size, _ in nearby), sum(count for _, count in nearby)
        return max(part.count, part.count * size // count)

    return weight if firsts else lambda part: part.count


def ledgers_per_part(sinks: Sequence[Sink], wanted: LedgerSet, shards: int) -> int:
    """Return the ledgers that the sinks keep together; where none has parts, few enough to share them out."""
    sizes = [sink.ledgers_per_part for sink in sinks if isinstance(sink, Divided)]
    if sizes or not wanted:
        return math.lcm(*sizes)
    return max(1, wanted.count // (shards * _PARTS_OF_A_SHARD))


def check_count(shards: int) -> None:
    """Refuse a number of shards that makes no sense."""
    if not 0 < shards <= _MOST:
        raise ConfigError(f"{shards} shards make no sense: there may be 1 to {_MOST:,}")


def _windows(wanted: LedgerSet, size: int) -> Iterator[tuple[int, list[LedgerRange]]]:
    """Yield the number of each aligned window of `size` ledgers, with what is wanted of it."""
    number, pieces = -1, list[LedgerRange]()
    for part in wanted:
        first = part.first
        while first <= part.end:
            last = min(part.end, first // size * size + size - 1, LAST_POSSIBLE)
            if first // size != number:
                if pieces:
                    yield number, pieces
                number, pieces = first // size, []
            pieces.append(LedgerRange(first, last))
            first = last + 1
    if pieces:
        yield number, pieces
