"""Making few files of many: what following the chain leaves behind becomes one file an aligned range.

The merged range appears first, the ranges it replaces go after; between the two everyone who reads by the
rules of `layout` sees the wider one. It ends in the bytes a single extraction would have written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import pyarrow as pa

from stellarrow.errors import SinkError, Stopped
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.layout import trusted, window
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.range_writer import RangeFiles, Shape
from stellarrow.sinks.files.runs import Runs, between
from stellarrow.sinks.files.store import FileStore

_Piece = tuple[LedgerRange, LedgerRange]  # a range that is there, and the part of it that counts


def never() -> bool:
    """Do not leave off."""
    return False


def remade(
    store: FileStore, shape: Shape, ledgers: LedgerRange, folders: Iterable[Iterable[pa.RecordBatch]]
) -> RangeFiles:
    """Write files anew from the rows of each folder, in ledger order."""
    files = RangeFiles(store, shape)
    try:
        for folder in folders:
            runs = Runs(shape.schema, sort_by=shape.sort_by)
            for rows in folder:
                for run in runs.add(rows):
                    files.write(run)
            files.write(runs.rest())
        files.close(ledgers)
    except BaseException:
        files.discard()
        raise
    return files


def compact(listing: Listing, around: LedgerRange, stopped: Callable[[], bool] = never) -> int:
    """Merge the adjacent ranges within an aligned one; return how many are gone for it."""
    parts = (part for part in listing.parts(after=around.first) if part.first in around)
    return sum(_merge(listing, group, stopped) for group in _adjacent(trusted(parts)) if len(group) > 1)


def windows(listing: Listing, ledgers_per_file: int) -> list[LedgerRange]:
    """Return the aligned ranges that hold several."""
    held = [window(part.first, ledgers_per_file) for part in sorted(listing.parts())]
    return sorted({one for one, other in pairwise(held) if one == other})


def _adjacent(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        if group and group[-1][1].end + 1 != piece[1].first:
            yield group
            group = []
        group.append(piece)
    yield group


def _merge(listing: Listing, group: list[_Piece], stopped: Callable[[], bool]) -> int:
    whole = LedgerRange(group[0][1].first, group[-1][1].end)
    pieces = {held for held, _ in group}

    def are_there() -> bool:
        return pieces <= set(listing.parts(after=whole.first))

    try:
        folders = _folders(listing, group)
        rows = (_rows(listing, folders[folder], stopped) for folder in sorted(folders))
        merged = remade(listing.store, listing.shape, whole, rows)
    except SinkError:
        if are_there():
            raise
        return 0  # another writer was first
    try:
        with listing.store.alone(listing.shape.folder):
            if not are_there():
                return 0
            merged.place(whole)
            listing.remove(held for held, _ in group)
    finally:
        merged.discard()
    return len(group) - 1


def _folders(listing: Listing, group: list[_Piece]) -> dict[str, list[tuple[str, LedgerRange]]]:
    """Return for each folder its files in ledger order, and the part of each to take."""
    folders: dict[str, list[tuple[str, LedgerRange]]] = {}
    for held, part in group:
        for path in listing.files(held):
            folders.setdefault(path.rpartition("/")[0], []).append((path, part))
    return folders


def _rows(
    listing: Listing, files: Iterable[tuple[str, LedgerRange]], stopped: Callable[[], bool]
) -> Iterator[pa.RecordBatch]:
    for path, part in files:
        with readable(listing.store, path), listing.store.read(path) as file:
            for rows in listing.shape.format.read(file, listing.shape.schema):
                if stopped():
                    raise Stopped("compaction was told to stop: stellarrow compact goes on")
                yield between(rows, part)
