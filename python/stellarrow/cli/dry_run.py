"""How long an extraction will take and how much it will read, foretold from a part of it.

Ledgers differ in size a thousandfold, and opening things takes as long for one ledger as for a thousand. So
samples grow until one takes long enough to be measured, lie in the middle of what is wanted, and what they
took is scaled by the bytes that the source stores of them, where it knows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellarrow import registry
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.pipeline.loop import Report
from stellarrow.protocols import Measured, Source

_SMALLEST: Final = 16  # ledgers of the first sample, which also loads what is needed
_GROWTH: Final = 4
_LARGEST: Final = 1_024  # ledgers
_ENOUGH_SECONDS: Final = 0.75  # that a later sample takes
_LONG_SECONDS: Final = 2.0  # the next sample is no larger than one that takes so long
_FILE_LEDGERS: Final = 1_000  # of a file, whose opening and closing takes its own time
_LEAST_SHARE: Final = 0.3  # of a sample's time that is its ledgers', however the rest looks
_FILE_STAND_IN: Final = "parquet:{}"
# Rows a second that PostgreSQL takes with its indexes, between the live and the backfill figure we measured.
_DATABASE_ROWS: Final = 80_000


@dataclass(frozen=True, slots=True)
class Foretold:
    """What all would take: seconds, bytes of XDR, rows of all tables together."""

    seconds: float
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Sample:
    """How much of the whole was extracted, and what came of it."""

    share: float
    report: Report


def foretell(source: Source, missing: LedgerSet, extract: Callable[[LedgerSet], Report]) -> Foretold:
    """Extract samples of what is missing with `extract`, and say what all of it would take."""
    samples = list(_samples(source, missing, extract))
    last = samples[-1]
    rows = sum(last.report.rows.values())
    seconds = _seconds(samples, files=math.ceil(missing.count / _FILE_LEDGERS))
    return Foretold(seconds, round(last.report.bytes / last.share), round(rows / last.share))


def _samples(source: Source, missing: LedgerSet, extract: Callable[[LedgerSet], Report]) -> Iterator[_Sample]:
    size = min(_SMALLEST, missing.count)
    for number in itertools.count():
        sample = _middle(missing, size)
        report = extract(sample)
        yield _Sample(_share(source, sample, missing, report), report)
        is_long = report.seconds >= _LONG_SECONDS
        if size == missing.count or size >= _LARGEST or (number and report.seconds >= _ENOUGH_SECONDS):
            return
        size = size if is_long else min(size * _GROWTH, missing.count)


def _share(source: Source, sample: LedgerSet, missing: LedgerSet, report: Report) -> float:
    """Return how much of all a sample is: by stored bytes where these are known, else by ledgers."""
    if isinstance(source, Measured) and (stored := source.stored_bytes(sample)):
        return stored / source.stored_bytes(missing)
    return max(1, report.ledgers) / missing.count


def _seconds(samples: Sequence[_Sample], *, files: int) -> float:
    """Tell what grows with the ledgers from what a file and the start take, by samples of different sizes."""
    first, last = samples[0], samples[-1]
    if len(samples) == 1:
        return last.report.seconds / last.share
    slope, opening = last.report.seconds / last.share, 0.0
    before = samples[-2]
    if len(samples) > 2 and last.share > before.share:
        grown = (last.report.seconds - before.report.seconds) / (last.share - before.share)
        slope = max(grown, _LEAST_SHARE * slope)
        opening = max(0.0, last.report.seconds - slope * last.share)
    start = max(0.0, first.report.seconds - opening - slope * first.share)
    return start + opening * files + slope


def _middle(missing: LedgerSet, size: int) -> LedgerSet:
    """Return so many ledgers around the middle of a set."""
    skip = max(0, (missing.count - size) // 2)
    return LedgerSet(_taken(missing, skip, size))


def _taken(ledgers: LedgerSet, skip: int, size: int) -> Iterator[LedgerRange]:
    for part in ledgers:
        if skip >= part.count:
            skip -= part.count
            continue
        first = part.first + skip
        last = min(part.end, first + size - 1)
        yield LedgerRange(first, last)
        skip, size = 0, size - (last - first + 1)
        if not size:
            return


def stand_ins(places: Sequence[str], folder: Path) -> list[str]:
    """Return a place below a folder for each place of files, in its format; one where there is none."""
    made = []
    for number, place in enumerate(places):
        scheme, _, rest = place.partition(":")
        if scheme in registry.FORMATS:
            _, mark, options = rest.partition("?")
            kept = "&".join(one for one in options.split("&") if not one.startswith("endpoint="))
            made.append(f"{scheme}:{folder}/{number}{mark if kept else ''}{kept}")
    return made or [_FILE_STAND_IN.format(folder)]


def database_seconds(places: Sequence[str], rows: int) -> float:
    """Return how long databases among the places take for rows: trying it would change them."""
    databases = sum(place.partition(":")[0] in ("postgres", "postgresql") for place in places)
    return databases * rows / _DATABASE_ROWS
