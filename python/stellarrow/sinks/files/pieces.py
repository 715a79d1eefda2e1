"""The files a table is read from, each ledger once, also while another process merges them.

In a folder a lock keeps what compaction replaces until readers are done. Where there is none, a file that is
gone has become part of a wider one: the ledgers, and folders, that were not read yet are read from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.again import CHANCES
from stellarrow.sinks.files.layout import trusted
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.proof import held_files, proven_file
from stellarrow.storage.files import Gone

Piece = tuple[LedgerRange, str, pa.NativeFile]
Asked = Callable[[LedgerRange, KeptFile], bool]  # of a range's file, before it is opened


def every(_: LedgerRange, __: KeptFile) -> bool:
    """Ask for every file."""
    return True


def pieces(
    listing: Listing,
    wanted: LedgerRange | None = None,
    *,
    held: LedgerRange | None = None,
    is_asked: Asked = every,
    descending: bool = False,
) -> Iterator[Piece]:
    """Yield the ledgers due, and the path and the opened file, proven, that has them, with others maybe.

    A file that is not asked for is passed over. Descending, ranges come from the last to the first. `held`
    has all that is wanted, as a listing told before: while it is there, nothing is listed again.
    """
    with listing.store.reading(listing.entries_folder):
        found = [(held, wanted)] if held and wanted else _within(listing, wanted)
        if wanted and wanted.last is not None and not held:
            _refuse_departed(listing, LedgerSet([wanted]) - LedgerSet(part for _, part in found))
        for name, part in reversed(found) if descending else found:
            yield from _Files(listing, is_asked, descending=descending).within(name, part, set(), CHANCES)


def by_range(listing: Listing, wanted: LedgerSet) -> Iterator[tuple[LedgerRange, Iterator[Piece]]]:
    """Yield, in order, the ranges that have any of the ledgers, each with its pieces: no file comes twice."""
    with listing.store.reading(listing.entries_folder):
        for held, part in trusted(listing.parts()):
            if LedgerSet([part]) & wanted:
                yield part, _Files(listing).within(held, part, set(), CHANCES)


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


class _Files:
    def __init__(self, listing: Listing, is_asked: Asked = every, *, descending: bool = False) -> None:
        self._listing = listing
        self._is_asked = is_asked
        self._descending = descending

    def within(self, held: LedgerRange, part: LedgerRange, done: set[str], chances: int) -> Iterator[Piece]:
        listing = self._listing
        try:
            for kept in held_files(listing, held):
                folder = kept.path.rpartition("/")[0]
                if folder in done:
                    continue
                if self._is_asked(held, kept):
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
        for other, due in reversed(now) if self._descending else now:
            yield from self.within(other, due, set(done), chances - 1)
