"""Making few files of many: what following the chain leaves behind becomes one file an aligned range.

The merged range appears first, the ranges it replaces go after; between the two everyone who reads by the
rules of `layout` sees the wider one. It ends in the bytes a single extraction would have written.

Every input is proven to be what was written before a row of it is taken, and what came in is counted
against what lies in the merged files, so that damage is told and never merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import pyarrow as pa

from stellarrow.core.rows import between
from stellarrow.errors import SinkError, Stopped
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.entering import place_or_prove
from stellarrow.sinks.files.layout import trusted, window
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.packing import as_packed_as
from stellarrow.sinks.files.proof import held_files, is_there, proven_rows, rows_by_ledger
from stellarrow.sinks.files.range_writer import RangeFiles, Shape
from stellarrow.sinks.files.runs import Runs
from stellarrow.sinks.files.superseding import Contradicted, drop, remove_replaced
from stellarrow.storage.files import FileStore, Gone

_Input = tuple[LedgerRange, LedgerRange, KeptFile]
_Folders = dict[str, list[_Input]]
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
    remove_replaced(listing)
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
        return pieces <= {held for held, _ in trusted(listing.parts(after=whole.first))}

    try:
        inputs = {held: held_files(listing, held) for held in sorted(pieces)}
        merged = _written(listing, whole, _folders(group, inputs), stopped)
    except SinkError:
        if are_there():
            raise
        return 0  # another writer was first
    try:
        with listing.store.alone(listing.shape.folder):
            if not are_there():
                return 0
            place_or_prove(listing, merged, whole)
            if not is_there(listing, whole, merged.kept(whole)):
                return 0  # from elsewhere and not the same bytes: clean compares the rows
            with listing.store.unread(listing.entries_folder) as free:
                for held, files in inputs.items() if free else ():  # else compaction, or a writer, comes back
                    drop(listing, held, files)
    except Gone:
        if listing.counts(whole):
            raise
        return 0  # another writer merged the merged range, too
    finally:
        merged.discard()
    return len(group) - 1


def _folders(group: list[_Piece], inputs: Mapping[LedgerRange, Sequence[KeptFile]]) -> _Folders:
    """Return for each folder its files in ledger order, and the part of each to take."""
    folders: _Folders = {}
    for held, part in group:
        for kept in inputs[held]:
            folders.setdefault(kept.path.rpartition("/")[0], []).append((held, part, kept))
    return {folder: folders[folder] for folder in sorted(folders)}


def _written(
    listing: Listing, whole: LedgerRange, folders: _Folders, stopped: Callable[[], bool]
) -> RangeFiles:
    """Write the merged files, and compare how many rows of each ledger came in and lie in them."""
    counts: dict[str, Counter[int]] = {folder: Counter() for folder in folders}
    rows = (_rows(listing, files, counts[folder], stopped) for folder, files in folders.items())
    shape = as_packed_as((kept for files in folders.values() for _, _, kept in files), listing.shape)
    merged = remade(listing.store, shape, whole, rows)
    try:
        for folder, file in merged.written().items():
            found: Counter[int] = Counter()
            with readable(listing.store, f"{shape.folder}/{shape.path(whole, folder)}"):
                for part in shape.format.read(file, shape.schema, ["ledger_sequence"]):
                    found += rows_by_ledger(part)
            if found != counts.pop(folder, Counter()):
                raise SinkError(f"{listing}: merging {whole} lost or doubled rows: nothing was changed")
        if any(counts.values()):
            raise SinkError(f"{listing}: merging {whole} lost or doubled rows: nothing was changed")
    except BaseException:
        merged.discard()
        raise
    return merged


def _rows(
    listing: Listing, files: Iterable[_Input], taken: Counter[int], stopped: Callable[[], bool]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a folder's files, proven first, and count them by ledger.

    Of ledgers that two files hold, those of the first count, and the second must have as many.
    """
    for held, part, kept in files:
        for rows in proven_rows(listing, held, kept):
            if stopped():
                raise Stopped("compaction was asked to stop: run stellarrow compact to continue")
            due = between(rows, part)
            if due.num_rows < rows.num_rows:
                twice = rows_by_ledger(between(rows, LedgerRange(held.first, part.first - 1)))
                if any(taken[ledger] != many for ledger, many in twice.items()):
                    raise Contradicted(
                        f"{listing}/{kept.path} holds other rows than the file before it of the ledgers both"
                        " have: remove the one that stellarrow did not write"
                    )
            taken += rows_by_ledger(due)
            yield due
