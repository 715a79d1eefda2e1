"""Is every file what the manifest says, and can it be read?

Damage is what was proven from bytes that were read. A store that does not answer, or may not be read, proves
nothing: it ends the check. What is damaged, repair sets aside, so that the next extraction fetches it again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import Damaged, SchemaMismatch, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.group_index import index_path
from stellarrow.sinks.files.indexing import index_fault, index_names
from stellarrow.sinks.files.layout import superseded
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import entry_path
from stellarrow.sinks.files.proof import held_files, measured
from stellarrow.sinks.files.quarantine import quarantine_file
from stellarrow.sinks.files.superseding import Contradicted, replaced
from stellarrow.storage.files import Gone
from stellarrow.storage.irregular import Irregular

_ABANDONED: Final = 3_600  # seconds after which a file without an entry is not about to get one
_WITHIN: Final = "lies within a wider range: compact removes it"
_DOUBLED: Final = "is here under another name, which counts: stellarrow lifecycle run removes it"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file; `ledgers` are the range that repair sets aside, if it is damage."""

    path: str
    what: str
    ledgers: LedgerRange | None


@dataclass(frozen=True, slots=True)
class Sound:
    """A file that is what it should be."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """A file that stellarrow did not write; readers pass over it, and repair leaves it alone."""

    path: str
    what: str = "a file not written by stellarrow"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What repair moved, from where and into which folder, and the ledgers that nothing covers now."""

    folder: str
    moved: tuple[str, ...]
    lost: LedgerSet


def check(listing: Listing) -> Iterator[Fault | Sound | Foreign]:
    """Read every file of a table whole; a SinkError where that cannot be done."""
    with listing.store.reading(listing.entries_folder):
        yield from _checked(listing)


def _checked(listing: Listing) -> Iterator[Fault | Sound | Foreign]:
    folder = listing.shape.folder
    ranges = set(listing.parts()) | set(listing.entered())
    damaged: set[LedgerRange] = set()
    answer: set[str] = {entry_path(folder, ledgers) for ledgers in ranges}
    for ledgers in sorted(ranges):
        for finding in _read(listing, ledgers):
            answer.add(finding.path)
            if isinstance(finding, Fault):
                damaged.add(ledgers)
            yield finding
    yield from _nested(listing, ranges - damaged)
    for orphan in listing.orphans() if listing.shape.partition else ():
        answer.add(orphan.path)
        yield Fault(orphan.path, "no entry of the manifest names it: its writer died, or is at it", None)
    for path in listing.doubled():
        answer.add(path)
        yield Fault(path, _DOUBLED, None)
    indexes = index_names(listing)
    answer |= indexes.keys()  # also of a range that is there no more: the next writer sweeps it
    yield from _indexes(listing, {path: part for path, part in indexes.items() if part in ranges - damaged})
    files = listing.store.list(folder, deep=True)
    late = {*listing.parts(), *listing.entered()} - ranges  # written meanwhile: the next check reads them
    answer |= {entry_path(folder, ledgers) for ledgers in late}
    names = {name for ledgers in damaged | late for name in listing.shape.names(ledgers)}
    for file in files:
        if file.path not in answer and file.path.rpartition("/")[2] not in names:
            yield Foreign(file.path)
    for odd in listing.store.irregular(folder):
        if odd.path not in answer:
            yield Foreign(odd.path, odd.what)


def _indexes(listing: Listing, indexes: Mapping[str, LedgerRange]) -> Iterator[Fault]:
    for path, ledgers in sorted(indexes.items()):
        if what := index_fault(listing, ledgers):
            yield Fault(path, what, None)


def _read(listing: Listing, ledgers: LedgerRange) -> Iterator[Fault | Sound]:
    folder = listing.shape.folder
    try:
        files = held_files(listing, ledgers)
    except Gone:
        if not _has_moved(listing, ledgers):
            raise
        return
    except SinkError as error:
        yield _fault(entry_path(folder, ledgers), error, ledgers)
        return
    for kept in files:
        path = f"{folder}/{kept.path}"
        try:
            found = measured(listing, ledgers, kept)
        except Gone:
            if not _has_moved(listing, ledgers):
                yield Fault(path, "is gone", ledgers)
        except SinkError as error:
            yield _fault(path, error, ledgers)
        else:
            yield Sound(path, found.rows, found.bytes)


def _fault(path: str, error: SinkError, ledgers: LedgerRange) -> Fault:
    """Tell what an error proves of a file; raise it where it proves nothing."""
    match error:
        case Damaged():
            return Fault(path, error.what, ledgers)
        case SchemaMismatch():
            return Fault(path, f"is of another extract ({error})", None)
        case Irregular():
            return Fault(path, f"is {error.what}: remove it", None)
        case _:
            raise error


def _has_moved(listing: Listing, ledgers: LedgerRange) -> bool:
    """Tell whether compaction has just now put a wider range in the place of one, or it was archived."""
    return ledgers in superseded({*listing.parts(), ledgers}) or listing.has_departed(ledgers)


def _nested(listing: Listing, sound: set[LedgerRange]) -> Iterator[Fault]:
    folder = listing.shape.folder
    try:
        within = [*replaced(listing, sound)]
        there = {*listing.parts(), *listing.entered()} if within else set()
        for ledgers in within:
            if ledgers in there:  # else it was merged just now
                yield Fault(entry_path(folder, ledgers), _WITHIN, None)
    except Contradicted as error:
        yield Fault(folder, str(error), None)


def repair(listing: Listing, faults: Iterable[Fault]) -> Repaired:
    """Set the ranges aside that are damaged still, and files that are long without an entry.

    Every range is read once more, and nothing is moved before all of them are: what the store gives wrongly
    once, or another writer has written anew since, is not damage.
    """
    suspected = sorted({fault.ledgers for fault in faults if fault.ledgers})
    with listing.store.alone(listing.shape.folder):
        damaged = [
            ledgers
            for ledgers in suspected
            if any(isinstance(finding, Fault) for finding in _read(listing, ledgers))
        ]
        paths = [path for ledgers in damaged for path in _paths(listing, ledgers)]
        if listing.shape.partition:
            old = time.time() - _ABANDONED
            paths += [file.path for file in listing.orphans() if file.changed < old]
        moved = quarantine_file(listing.store, paths)
    lost = LedgerSet(damaged) - listing.ranges()
    return Repaired(moved.folder, moved.paths, lost)


def _paths(listing: Listing, ledgers: LedgerRange) -> list[str]:
    """Return all files of a range, what makes it count first: whoever dies in between leaves no coverage."""
    shape = listing.shape
    entry = entry_path(shape.folder, ledgers)
    index = [index_path(shape.folder, ledgers)] if shape.is_indexed else []
    if shape.partition is None:
        return [*(f"{shape.folder}/{name}" for name in shape.names(ledgers)), entry, *index]
    names = shape.names(ledgers)
    files = listing.store.list(shape.folder, deep=True)
    return [entry, *(file.path for file in files if file.path.rpartition("/")[2] in names), *index]
