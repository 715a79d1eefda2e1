"""Cold files made small: neighbouring ranges of Parquet become one, and every file is zstd at a high level.

What is written anew is compared with the old rows, ledger by ledger, before it takes their place. A merged
range has a name of its own and appears beside the old ones, which go once it is proven to hold their rows. A
range that has no neighbour keeps its name: its entry promises no bytes while they change.

Lines (JSON, CSV) are not merged: a range's file appears compressed beside the one that was written, under a
name of its own; the entry names it then, and the other goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.records.singleton import Confirm
from stellarrow.sinks.files.compaction import remade
from stellarrow.sinks.files.departed import COMPRESSED, Record, record_path
from stellarrow.sinks.files.entering import place_or_prove
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import named_range, nested, superseded, trusted, window
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import Entry, KeptFile
from stellarrow.sinks.files.packing import packed
from stellarrow.sinks.files.proof import Contents, contents, held_files, is_there, proven_rows, row_digests
from stellarrow.sinks.files.range_writer import RangeFiles, Shape
from stellarrow.sinks.files.superseding import remove_replaced
from stellarrow.storage.cloud_files import CloudFiles
from stellarrow.storage.files import Gone

if TYPE_CHECKING:
    from stellarrow.lifecycle.aging import AgingTable

MERGED_LEDGERS: Final = 10_000  # of a file at most; aligned, so that it is the same whenever a run comes
LEVEL: Final = 9  # of zstd: a fifth smaller than what sinks write, read as fast


class Busy(SinkError):
    """Somebody reads the table just now."""


class Merged(SinkError):
    """A range is not what it was when its step was planned."""


def compressible(
    table: AgingTable, reach: int | None, leaving: Set[LedgerRange]
) -> Iterator[list[LedgerRange]]:
    """Yield the neighbours that become one compressed range; `reach` is the last ledger that is old enough.

    Only of aligned ranges that are old as a whole, so that no row is written anew each time one comes.
    """
    if reach is None:
        return
    if table.listing.shape.format.name != Parquet.name:
        yield from ([one] for one in _unpacked(table, reach, leaving))
        return
    unmerged = nested(table.parts)
    held = sorted({*table.parts} - superseded(table.parts) - leaving - table.departed.archived)
    for around, ranges in groupby(held, key=lambda one: window(one.first, MERGED_LEDGERS)):
        for group in _neighbours(ranges):
            is_old = max(group[-1].end, around.end) <= reach
            is_done = len(group) == 1 and (
                (group[0] in table.compressed and group[0] not in unmerged)
                or isinstance(table.listing.store, CloudFiles)  # there, no lock keeps readers from a change
            )
            if is_old and not is_done:
                yield group


def unmerged(table: AgingTable, reach: int | None, leaving: Set[LedgerRange]) -> str:
    """Say which ranges of Parquet are old enough, and wait for younger ones; nothing without any."""
    if reach is None or table.listing.shape.format.name != Parquet.name:
        return ""
    held = {*table.parts} - superseded(table.parts) - leaving - table.departed.archived - {*table.compressed}
    old = sorted(one for one in held if one.end <= reach < window(one.first, MERGED_LEDGERS).end)
    if not old:
        return ""
    around = window(old[-1].first, MERGED_LEDGERS)
    return (
        f"{len(old)} {'range waits' if len(old) == 1 else 'ranges wait'} to be compressed: ledgers"
        f" {around.first} to {around.end} become one file, once the last of them is there and old enough, too"
    )


def _unpacked(table: AgingTable, reach: int, leaving: Set[LedgerRange]) -> Iterator[LedgerRange]:
    """Yield the ranges of lines that have a file as it was written, maybe beside the compressed one."""
    suffixes = table.listing.shape.format.suffixes
    if len(suffixes) == 1 or isinstance(
        table.listing.store, CloudFiles
    ):  # there, no lock keeps readers from it
        return
    for one in sorted({*table.parts} - superseded(table.parts) - leaving - table.departed.archived):
        written = any(named_range(file.path, suffixes[0]) for file in table.files.get(one, ()))
        if one.end <= reach and written and one not in table.compressed:
            yield one


def _neighbours(ranges: Iterable[LedgerRange]) -> Iterator[list[LedgerRange]]:
    group: list[LedgerRange] = []
    for one in ranges:
        if group and group[-1].end + 1 != one.first:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def compress(listing: Listing, ledgers: LedgerRange, *, closed_by: int, confirm: Confirm) -> bool:
    """Make one compressed range of what is there of some ledgers; Busy, Merged, or another SinkError.

    False where a file stays as it was, because it is no smaller at the high level.
    """
    confirm(f"compress {listing.shape.folder} {ledgers}")
    remove_replaced(listing)
    parts = [
        (held, part) for held, part in trusted(listing.parts(after=ledgers.first)) if held.first in ledgers
    ]
    if not parts or (parts[0][0].first, parts[-1][0].end) != (ledgers.first, ledgers.end):
        raise Merged(f"{listing}: ledgers {ledgers} are not as they were planned: the next run looks again")
    if any(held != part for held, part in parts):
        raise SinkError(f"{listing} holds some of ledgers {ledgers} twice: run stellarrow compact first")
    held = [one for one, _ in parts]
    _check_unread(listing, ledgers)
    if listing.shape.format.name != Parquet.name:
        if _pack(listing, ledgers, confirm):
            return True
        _record(listing, ledgers, closed_by)
        return False
    anew = Listing(listing.store, replace(listing.shape, format=Parquet("zstd", level=LEVEL)))
    is_anew = True
    if len(held) > 1 or held[0] != ledgers:
        _merge(anew, held, ledgers, confirm)
    else:
        is_anew = _replace(anew, ledgers, confirm)
    _record(listing, ledgers, closed_by)
    return is_anew


def _record(listing: Listing, ledgers: LedgerRange, closed_by: int) -> None:
    """Note that a range is as small as it becomes."""
    files = held_files(listing, ledgers)
    write_record(listing, Record(COMPRESSED, Entry(ledgers, listing.shape.facts, files), closed_by))


def _check_unread(listing: Listing, ledgers: LedgerRange) -> None:
    """Say before the work that it would be for nothing."""
    with listing.store.unread(listing.entries_folder) as free:
        if not free or any(one != ledgers and one.first in ledgers for one in superseded(listing.parts())):
            raise Busy(f"{listing} is being read just now: the next run continues")


def _merge(listing: Listing, held: list[LedgerRange], whole: LedgerRange, confirm: Confirm) -> None:
    made = _written(listing, held, whole)
    try:
        confirm(f"place {listing.shape.folder} {whole}")
        with listing.store.alone(listing.shape.folder):
            if not {*held} <= {one for one, _ in trusted(listing.parts(after=whole.first))}:
                raise Merged(f"{listing}: ledgers {whole} were merged just now: the next run looks again")
            place_or_prove(listing, made, whole)
        if not is_there(listing, whole, made.kept(whole)):
            raise Merged(f"{listing}: ledgers {whole} came from elsewhere: the next run looks again")
    finally:
        made.discard()
    remove_replaced(listing)
    if any(one in held for one in listing.parts(after=whole.first)):
        raise Busy(f"{listing} is being read just now: the next run continues")


def _replace(listing: Listing, ledgers: LedgerRange, confirm: Confirm) -> bool:
    """Put a range compressed in its own place; False where that is no smaller: then it stays."""
    before = held_files(listing, ledgers)
    made = _written(listing, [ledgers], ledgers)
    try:
        if _size(made.kept(ledgers)) >= _size(before) > 0:
            return False
        with listing.store.alone(listing.shape.folder):
            if _files_now(listing, ledgers) != before:
                raise Merged(f"{listing}: ledgers {ledgers} were merged just now: the next run looks again")
            with listing.store.unread(listing.entries_folder) as free:
                if not free:
                    raise Busy(f"{listing} is being read just now: the next run continues")
                confirm(f"replace {listing.shape.folder} {ledgers}")
                made.replace(ledgers)
        if not is_there(listing, ledgers, made.kept(ledgers)):
            raise Merged(f"{listing}: ledgers {ledgers} changed just now: the next run looks again")
    finally:
        made.discard()
    return True


def _size(files: Iterable[KeptFile]) -> int:
    return sum(kept.bytes for kept in files)


def _pack(listing: Listing, ledgers: LedgerRange, confirm: Confirm) -> bool:
    """Compress a range of lines under another name, and remove the one it had; False where it stays."""
    shape = listing.shape
    before = held_files(listing, ledgers)
    if any(kept.path.endswith(shape.format.suffix) for kept in before):
        made = _written(listing, [ledgers], ledgers, replace(shape, format=packed(shape.format)))
        try:
            if _size(made.kept(ledgers)) >= _size(before) > 0:
                return False
            with listing.store.alone(shape.folder):
                if _files_now(listing, ledgers) != before:
                    raise Merged(
                        f"{listing}: ledgers {ledgers} were merged just now: the next run looks again"
                    )
                confirm(f"place {shape.folder} {ledgers}")
                made.place_beside(ledgers)
        finally:
            made.discard()
    confirm(f"remove {shape.folder} {ledgers} as it was written")
    remove_doubled(listing, ledgers)
    return True


def remove_doubled(listing: Listing, ledgers: LedgerRange) -> None:
    """Remove the files of a range that is there under another name, once that is proven to be what it was."""
    with listing.store.alone(listing.shape.folder):
        gone = [path for path, held in listing.doubled().items() if held == ledgers]
        if not gone:
            return
        is_there(listing, ledgers, held_files(listing, ledgers))
        with listing.store.unread(listing.entries_folder) as free:
            if not free:
                raise Busy(f"{listing} is being read just now: the next run continues")
            listing.store.remove(gone)


def _files_now(listing: Listing, ledgers: LedgerRange) -> object:
    try:
        return held_files(listing, ledgers)
    except Gone:
        return None


def _written(
    listing: Listing, held: list[LedgerRange], whole: LedgerRange, shape: Shape | None = None
) -> RangeFiles:
    """Write the rows of ranges into files of one, and compare what was read with what lies in them."""
    shape = shape or listing.shape
    old: Contents = {}
    folders: dict[str, list[tuple[LedgerRange, int]]] = {}
    entries = {one: held_files(listing, one) for one in held}
    for one, files in entries.items():
        old |= contents(listing, one)
        for at, kept in enumerate(files):
            folders.setdefault(kept.path.rpartition("/")[0], []).append((one, at))
    rows = (
        (batch for one, at in folders[folder] for batch in proven_rows(listing, one, entries[one][at]))
        for folder in sorted(folders)
    )
    made = remade(listing.store, shape, whole, rows)
    try:
        new: Contents = {}
        for folder, file in made.written().items():
            with readable(listing.store, f"{shape.folder}/{shape.path(whole, folder)}"):
                new |= row_digests(folder, shape.format.read(file, shape.schema))
        if new != old:
            raise SinkError(f"{listing}: what was compressed of {whole} has other rows: nothing was changed")
    except BaseException:
        made.discard()
        raise
    return made


def write_record(listing: Listing, record: Record) -> None:
    """Write what is said of a range beside its table."""
    upload = listing.store.create()
    try:
        upload.write(record.encode())
        upload.place(record_path(listing.shape.folder, record.entry.ledgers, record.state))
    finally:
        upload.discard()
