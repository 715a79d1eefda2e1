"""The frozen values that flow: which ledgers, their stored bytes, their rows, their network."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stellarrow.errors import ConfigError

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
        """Understand what people write: a network's name, a passphrase, or `passphrase:TEXT` for any text.

        A word that is no known name is refused, and so is a passphrase that is nearly a known one.
        """
        if isinstance(name_or_passphrase, Network):
            return name_or_passphrase
        written = name_or_passphrase.strip().strip("'\"")  # files of environment variables keep the quotes
        if not written.strip():
            raise ConfigError("the network is empty: name pubnet, testnet, futurenet or a passphrase")
        if written.startswith(_PASSPHRASE) and written != _PASSPHRASE:
            return cls.from_passphrase(written.removeprefix(_PASSPHRASE))
        known = cls.from_passphrase(written)
        if known in KNOWN_NETWORKS:
            return known
        if " " not in written and (name := _ALIASES.get(_plain(written))):
            return cls.from_passphrase(name)
        _refuse_near(written)
        return known

    @classmethod
    def from_passphrase(cls, passphrase: str) -> Network:
        """Take what a place, not a person, says as it is: any text is a passphrase and names itself."""
        for network in KNOWN_NETWORKS:
            if passphrase in (network.name, network.passphrase):
                return network
        return cls(passphrase, passphrase)

    def __str__(self) -> str:
        return self.name


KNOWN_NETWORKS: Final = (
    Network("pubnet", "Public Global Stellar Network ; September 2015"),
    Network("testnet", "Test SDF Network ; September 2015"),
    Network("futurenet", "Test SDF Future Network ; October 2022"),
    Network("standalone", "Standalone Network ; February 2017"),  # what the quickstart image runs by itself
    Network(
        "synthetic", "Stellarrow Synthetic Network ; November 2026"
    ),  # what synth() makes unless told otherwise
)
_PASSPHRASE: Final = "passphrase:"
_ALIASES: Final = {
    **dict.fromkeys(("pubnet", "pub", "public", "publicnet", "main", "mainnet", "live", "livenet"), "pubnet"),
    **dict.fromkeys(("testnet", "test"), "testnet"),
    **dict.fromkeys(("futurenet", "future"), "futurenet"),
    **dict.fromkeys(("standalone", "local", "localnet", "quickstart"), "standalone"),
    **dict.fromkeys(("synthetic", "synth"), "synthetic"),
}


def _plain(text: str) -> str:
    """Leave what tells names apart: `Stellar_Public-Network` and `public` are one."""
    letters = re.sub(r"[\W_]+", "", text.casefold())
    return letters.removeprefix("stellar").removesuffix("network") or letters


def _refuse_near(written: str) -> None:
    from difflib import get_close_matches  # noqa: PLC0415  only what is no known name pays for it

    means = {**_ALIASES, **{one.passphrase.casefold(): one.name for one in KNOWN_NETWORKS}}
    exact = _ALIASES.get(_plain(written))
    close = get_close_matches(written.casefold(), means, n=1, cutoff=0.9 if " " in written else 0.6)
    if near := exact or (close and means[close[0]]):
        raise ConfigError(
            f"{written!r} is no network known by name: did you mean {near}?"
            f" A network of your own with this passphrase is written {_PASSPHRASE}{written}"
        )
    if not re.search(r"\s", written):
        names = ", ".join(one.name for one in KNOWN_NETWORKS)
        raise ConfigError(
            f"{written!r} is no network known by name: choose among {names}, or give the whole passphrase"
            f" (one without spaces as {_PASSPHRASE}{written})"
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
