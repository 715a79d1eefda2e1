"""Is every file what the manifest says, and can it be read?

What is not, repair takes away, so that the next extraction fetches it again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.layout import MANIFEST, named_range, superseded
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import KeptFile, entry_path
from stellarrow.sinks.files.range_writer import enter

_BLOCK: Final = 1 << 20
_DIED_WITH: Final = 8  # files at most that a writer had placed but not entered
_ABANDONED: Final = 3_600  # seconds after which a file without an entry is not about to get one


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file; `ledgers` are the range that has to be fetched again, if any."""

    path: str
    what: str
    ledgers: LedgerRange | None


@dataclass(frozen=True, slots=True)
class Sound:
    """A file that is what it should be."""

    path: str
    rows: int
    bytes: int


def check(listing: Listing) -> Iterator[Fault | Sound]:
    """Read every file of a table whole."""
    folder = listing.shape.folder
    parts = set(listing.parts())
    files = listing.store.list(f"{folder}/{MANIFEST}")
    entries = {ledgers for file in files if (ledgers := named_range(file.path))}
    there = {file.path for file in listing.store.list(folder, deep=True)}
    gone = superseded(parts | entries)
    for ledgers in sorted((parts | entries) - gone):
        try:
            entry = listing.entry(ledgers) if ledgers in entries else None
        except SinkError as error:
            yield Fault(entry_path(folder, ledgers), str(error), ledgers)
            continue
        kept = entry.files if entry else (KeptFile(listing.shape.path(ledgers), -1, -1, ""),)
        for file in kept:
            path = f"{folder}/{file.path}"
            yield _checked(listing, ledgers, file, path) if path in there else Fault(path, "is gone", ledgers)
    for ledgers in sorted(gone):
        yield Fault(entry_path(folder, ledgers), "lies within a wider range: compact removes it", None)
    for orphan in listing.orphans() if listing.shape.partition else ():
        yield Fault(orphan.path, "no entry of the manifest names it: its writer died, or is at it", None)


def _checked(listing: Listing, ledgers: LedgerRange, kept: KeptFile, path: str) -> Fault | Sound:
    try:
        with listing.store.read(path) as file:
            size, digest = _digest(file)
            if kept.sha256 and size != kept.bytes:
                return Fault(path, f"has {size} bytes, not the {kept.bytes} it was written with", ledgers)
            if kept.sha256 and digest != kept.sha256:
                return Fault(path, "has other bytes than it was written with", ledgers)
            file.seek(0)
            rows = _rows(listing, ledgers, file)
    except SinkError as error:
        return Fault(path, str(error), ledgers)
    except (pa.ArrowException, ValueError, OSError) as error:
        return Fault(path, f"is damaged ({error})", ledgers)
    if kept.sha256 and rows != kept.rows:
        return Fault(path, f"has {rows} rows, not {kept.rows}", ledgers)
    return Sound(path, rows, size)


def enter_rest(listing: Listing, entered: set[LedgerRange]) -> None:
    """Enter files whose writer died before it did so; where it is many, an older stellarrow made them."""
    if listing.shape.partition or not (rest := set(listing.parts()) - entered) or len(rest) > _DIED_WITH:
        return
    with listing.store.alone(listing.shape.folder):
        for ledgers in rest:
            path = listing.shape.path(ledgers)
            whole = f"{listing.shape.folder}/{path}"
            with readable(listing.store, whole), listing.store.read(whole) as file:
                size, digest = _digest(file)
                file.seek(0)
                kept = KeptFile(path, size, _rows(listing, ledgers, file), digest)
            enter(listing.store, listing.shape, ledgers, [kept], new=True)


def _digest(file: pa.NativeFile) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while block := file.read(_BLOCK):
        size += len(block)
        digest.update(block)
    return size, digest.hexdigest()


def _rows(listing: Listing, ledgers: LedgerRange, file: pa.NativeFile) -> int:
    count = 0
    for rows in listing.shape.format.read(file, listing.shape.schema):
        bounds = pc.min_max(rows.column("ledger_sequence")).as_py()
        if bounds["min"] < ledgers.first or bounds["max"] > ledgers.end:
            raise ValueError(f"it has ledgers {bounds['min']} to {bounds['max']}")
        count += rows.num_rows
    return count


def repair(listing: Listing, faults: Iterable[Fault]) -> LedgerSet:
    """Take the ranges of faults away, and what belongs to none; return the ledgers to be fetched again."""
    ranges = {fault.ledgers for fault in faults if fault.ledgers}
    with listing.store.alone(listing.shape.folder):
        listing.remove(ranges)
        if listing.shape.partition:
            old = time.time() - _ABANDONED
            listing.store.remove(file.path for file in listing.orphans() if file.changed < old)
    return LedgerSet(ranges)
