"""The frozen values that flow: which ledgers, their stored bytes, their rows, their network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stellarrow.errors import ConfigError, SinkError

if TYPE_CHECKING:
    import pyarrow as pa

LAST_POSSIBLE: Final = 2**32 - 1  # a ledger's sequence is a uint32 (Stellar-ledger.x, LedgerHeader.ledgerSeq)

_NUMBER: Final = r"\d+(?:[_,]\d+)*"
_RANGE: Final = re.compile(
    rf"(?P<first>{_NUMBER}|latest)?(?P<colon>:)?(?P<plus>\+)?(?P<last>{_NUMBER}|latest)?", re.ASCII
)
# 58,752,000 in a list could be one ledger or three.
_AMBIGUOUS: Final = re.compile(r"(?<![\d,_])\d{1,3}(?:,\d{3}){2,}(?![\d,_])", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class LedgerRange:
    """Ledgers from first to last, both included; without a last one it follows the chain."""

    first: int
    last: int | None = None

    def __post_init__(self) -> None:
        for number in (self.first, self.last):
            if number is not None and not 0 <= number <= LAST_POSSIBLE:
                raise ConfigError(f"{number} is no ledger: sequences go from 0 to {LAST_POSSIBLE}")
        if self.last is not None and self.last < self.first:
            raise ConfigError(f"the range {self.first}:{self.last} ends before it starts: swap its ends")

    @classmethod
    def parse(cls, text: str, *, known: Callable[[], LedgerSet] | None = None) -> LedgerRange:
        """Read `A:B`, `A:+N`, `A:`, `:B` or `A`; numbers may carry underscores or commas.

        `known` tells what a source holds: it stands for `latest`, and for the beginning that `:B` leaves open
        (ledger 1 without it).
        """
        compact = text.strip().replace(" ", "")
        match = _RANGE.fullmatch(compact)
        if not match or compact in ("", ":") or (match["plus"] and not (match["colon"] and match["last"])):
            raise ConfigError(f"{text!r} is no ledger range: write A:B, A:+N, A:, :B or A")
        if match["first"] is None and not match["colon"]:
            raise ConfigError(f"{text!r} is no ledger range: write A:B, A:+N, A:, :B or A")
        first = _beginning(known) if match["first"] is None else _sequence(match["first"], text, known)
        if not match["colon"]:
            return cls(first, first)
        if match["last"] is None:
            return cls(first)
        last = _sequence(match["last"], text, known)
        if match["plus"]:
            if last == 0:
                raise ConfigError(f"{text!r} asks for no ledger at all: write at least +1")
            last += first - 1
        return cls(first, last)

    @property
    def end(self) -> int:
        """The last ledger, or the last there can ever be."""
        return LAST_POSSIBLE if self.last is None else self.last

    @property
    def count(self) -> int:
        return self.end - self.first + 1

    def __contains__(self, ledger: int) -> bool:
        return self.first <= ledger <= self.end

    def __str__(self) -> str:
        if self.last is None:
            return f"{self.first}:"
        return str(self.first) if self.first == self.last else f"{self.first}:{self.last}"


def _beginning(known: Callable[[], LedgerSet] | None) -> int:
    held = known() if known else None
    return held.first if held else 1  # 1 is the genesis ledger


def _sequence(number: str, text: str, known: Callable[[], LedgerSet] | None) -> int:
    if number != "latest":
        return int(re.sub("[_,]", "", number))
    held = known() if known else None
    if not held:
        raise ConfigError(
            f"{text!r} asks for the latest ledger, but no source is there to know it: give its number"
        )
    return held.last


@dataclass(frozen=True, slots=True, init=False)
class LedgerSet:
    """A set of ledgers, kept as sorted ranges that neither touch nor overlap."""

    ranges: tuple[LedgerRange, ...]

    def __init__(self, ranges: Iterable[LedgerRange] = ()) -> None:
        object.__setattr__(self, "ranges", tuple(_merged(ranges)))

    @classmethod
    def parse(cls, text: str, *, known: Callable[[], LedgerSet] | None = None) -> LedgerSet:
        """Read ranges separated by commas, each as LedgerRange.parse does; here none groups digits."""
        if unclear := _AMBIGUOUS.search(text):
            one = unclear[0].replace(",", "_")
            raise ConfigError(
                f"{unclear[0]!r} could be one ledger or several: write {one}, or a space after each comma"
            )
        return cls(LedgerRange.parse(part, known=known) for part in text.split(","))

    @classmethod
    def of(cls, ledgers: Iterable[int]) -> LedgerSet:
        """Collect single ledgers."""
        return cls(LedgerRange(ledger, ledger) for ledger in ledgers)

    @property
    def first(self) -> int:
        """The lowest ledger; an empty set has none and raises IndexError."""
        return self.ranges[0].first

    @property
    def last(self) -> int:
        """The highest ledger; an empty set has none and raises IndexError."""
        return self.ranges[-1].end

    @property
    def count(self) -> int:
        return sum(part.count for part in self.ranges)

    @property
    def holes(self) -> LedgerSet:
        """The ledgers between the first and the last that are not in the set."""
        return LedgerSet([LedgerRange(self.first, self.last)]) - self if self else self

    def windows(self, ledgers: int) -> Iterator[LedgerRange]:
        """Cut the ranges into some of so many ledgers at most."""
        for part in self.ranges:
            for first in range(part.first, part.end + 1, ledgers):
                yield LedgerRange(first, min(part.end, first + ledgers - 1))

    def __or__(self, other: LedgerSet) -> LedgerSet:
        return LedgerSet((*self.ranges, *other.ranges))

    def __sub__(self, other: LedgerSet) -> LedgerSet:
        return LedgerSet(_without(self.ranges, other.ranges))

    def __and__(self, other: LedgerSet) -> LedgerSet:
        return LedgerSet(_common(self.ranges, other.ranges))

    def __contains__(self, ledger: int) -> bool:
        return any(ledger in part for part in self.ranges)

    def __iter__(self) -> Iterator[LedgerRange]:
        return iter(self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __str__(self) -> str:
        return ", ".join(map(str, self.ranges))


def _span(first: int, end: int) -> LedgerRange:
    return LedgerRange(first, None if end == LAST_POSSIBLE else end)


def _merged(ranges: Iterable[LedgerRange]) -> Iterator[LedgerRange]:
    first = end = -2
    for part in sorted(ranges, key=lambda part: part.first):
        if part.first <= end + 1:
            end = max(end, part.end)
            continue
        if first >= 0:
            yield _span(first, end)
        first, end = part.first, part.end
    if first >= 0:
        yield _span(first, end)


def _without(kept: Iterable[LedgerRange], gone: tuple[LedgerRange, ...]) -> Iterator[LedgerRange]:
    at = 0
    for part in kept:
        first = part.first
        while at < len(gone) and gone[at].end < first:
            at += 1
        for hole in gone[at:]:
            if hole.first > part.end:
                break
            if hole.first > first:
                yield _span(first, hole.first - 1)
            first = max(first, hole.end + 1)
        if first <= part.end:
            yield _span(first, part.end)


def _common(left: tuple[LedgerRange, ...], right: tuple[LedgerRange, ...]) -> Iterator[LedgerRange]:
    one = other = 0
    while one < len(left) and other < len(right):
        first = max(left[one].first, right[other].first)
        end = min(left[one].end, right[other].end)
        if first <= end:
            yield _span(first, end)
        if left[one].end < right[other].end:
            one += 1
        else:
            other += 1


@dataclass(frozen=True, slots=True)
class Network:
    """A Stellar network: what people call it, and the passphrase its transaction hashes depend on."""

    name: str
    passphrase: str

    @classmethod
    def of(cls, name_or_passphrase: str | Network) -> Network:
        """Look a name up; any other text is a passphrase and names itself."""
        if isinstance(name_or_passphrase, Network):
            return name_or_passphrase
        if not name_or_passphrase.strip():
            raise ConfigError("the network is empty: name pubnet, testnet, futurenet or a passphrase")
        for network in KNOWN_NETWORKS:
            if name_or_passphrase in (network.name, network.passphrase):
                return network
        return cls(name_or_passphrase, name_or_passphrase)

    def __str__(self) -> str:
        return self.name


KNOWN_NETWORKS: Final = (
    Network("pubnet", "Public Global Stellar Network ; September 2015"),
    Network("testnet", "Test SDF Network ; September 2015"),
    Network("futurenet", "Test SDF Future Network ; October 2022"),
    Network(
        "synthetic", "Stellarrow Synthetic Network ; November 2026"
    ),  # what synth() makes unless told otherwise
)


@dataclass(frozen=True, slots=True)
class LedgerChunk:
    """Consecutive ledgers as they are stored, untouched.

    `data` may hold more ledgers than first to last; `where` names the place for people. `fetched` says that
    they came over a network: a Decoder then verifies what their headers commit to, unless told not to.
    """

    data: bytes = field(repr=False)
    framing: str
    first: int
    last: int
    where: str
    fetched: bool = False


@dataclass(frozen=True, slots=True)
class LedgerRun:
    """What one decode saw: how many ledgers, and the hashes that link them to their neighbours.

    Times are unix seconds, `size_bytes` is XDR without compression, hashes are lower-case hex.
    """

    count: int
    first: int
    last: int
    first_closed_at: int
    last_closed_at: int
    previous_hash: str
    last_hash: str
    size_bytes: int
    transactions: int


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """The rows of consecutive ledgers, one record batch a table, under the names the tables were asked by."""

    first: int
    last: int
    tables: dict[str, pa.RecordBatch] = field(repr=False)
    run: LedgerRun


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows a table has of each ledger of a range that has any, None where they cannot be counted.

    `error` says what is wrong with the range's files; rows may be read all the same.
    """

    ledgers: LedgerRange
    rows: Mapping[int, int] | None
    error: SinkError | None = None
