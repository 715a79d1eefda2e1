"""The files a table is read from, each ledger once, also while another process merges them.

In a folder a lock keeps what compaction replaces until readers are done. Where there is none, a file that is
gone has become part of a wider one: the ledgers, and folders, that were not read yet are read from that.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.again import CHANCES
from stellarrow.sinks.files.layout import trusted
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.proof import held_files, proven_file
from stellarrow.storage.files import Gone

Piece = tuple[LedgerRange, str, pa.NativeFile]


def pieces(listing: Listing, wanted: LedgerRange | None = None) -> Iterator[Piece]:
    """Yield the ledgers due, and the path and the opened file, proven, that has them, with others maybe."""
    with listing.store.reading(listing.entries_folder):
        found = _within(listing, wanted)
        if wanted and wanted.last is not None:
            _refuse_departed(listing, LedgerSet([wanted]) - LedgerSet(part for _, part in found))
        for held, part in found:
            yield from _files(listing, held, part, set(), CHANCES)


def by_range(listing: Listing, wanted: LedgerSet) -> Iterator[tuple[LedgerRange, Iterator[Piece]]]:
    """Yield, in order, the ranges that have any of the ledgers, each with its pieces: no file comes twice."""
    with listing.store.reading(listing.entries_folder):
        for held, part in trusted(listing.parts()):
            if LedgerSet([part]) & wanted:
                yield part, _files(listing, held, part, set(), CHANCES)


def _within(listing: Listing, wanted: LedgerRange | None) -> list[tuple[LedgerRange, LedgerRange]]:
    due = LedgerSet([wanted] if wanted else [LedgerRange(0)])
    return [(held, both) for held, part in trusted(listing.parts()) for both in LedgerSet([part]) & due]


def _refuse_departed(listing: Listing, lost: LedgerSet) -> None:
    """Tell of ledgers that somebody saw here, and that left before they were read."""
    if lost and (departed := lost & listing.departed().ledgers):
        raise Gone(
            f"{listing}: ledgers {departed} were archived or deleted while they were to be read: stellarrow"
            " lifecycle status names the archive"
        )


def _files(
    listing: Listing, held: LedgerRange, part: LedgerRange, done: set[str], chances: int
) -> Iterator[Piece]:
    try:
        for kept in held_files(listing, held):
            folder = kept.path.rpartition("/")[0]
            if folder in done:
                continue
            with proven_file(listing, held, kept) as file:
                yield part, f"{listing.shape.folder}/{kept.path}", file
            done.add(folder)
    except Gone:
        now = [(other, due) for other, due in _within(listing, part) if other != held]
        lost = LedgerSet([part]) - LedgerSet(due for _, due in now)
        if not chances or lost:
            _refuse_departed(listing, lost)
            raise
    else:
        return
    for other, due in now:
        yield from _files(listing, other, due, set(done), chances - 1)
