"""Removing what a wider range has replaced: only once the wider one is proven to hold the same rows.

A name proves nothing. Compaction that died leaves narrow ranges within a wide one, but so does whoever puts
a file of a wide name there, and so does damage to the wide file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.group_index import index_path
from stellarrow.sinks.files.indexing import sweep
from stellarrow.sinks.files.layout import nested, superseded
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import KeptFile, entry_path
from stellarrow.sinks.files.proof import Contents, contents, file_contents, held_files
from stellarrow.sinks.files.quarantine import quarantine_file
from stellarrow.storage.files import Gone


class Contradicted(SinkError):
    """Two ranges share ledgers, both are what was written, and they hold other rows."""


def clean(listing: Listing) -> None:
    """Remove what compaction replaced and did not come to remove; set files aside that no entry names."""
    folder = listing.shape.folder
    remove_replaced(listing)
    sweep(listing)
    if listing.shape.partition and listing.orphans():
        with listing.store.alone(folder) as promised:
            if promised:
                quarantine_file(listing.store, [file.path for file in listing.orphans()])


def remove_replaced(listing: Listing) -> None:
    """Remove what lies within a wider range, unless someone reads it just now."""
    folder = listing.shape.folder
    ranges = {*listing.parts(), *listing.entered()}
    if not superseded(ranges):
        return
    with listing.store.alone(folder):
        gone = []
        for ledgers in replaced(listing, ranges):
            with suppress(Gone):  # another writer's compaction, just now
                gone.append((ledgers, held_files(listing, ledgers)))
        with listing.store.unread(listing.entries_folder) as free:
            for ledgers, files in gone if free else ():
                drop(listing, ledgers, files)


def replaced(listing: Listing, ranges: Iterable[LedgerRange]) -> Iterator[LedgerRange]:
    """Yield those of the ranges whose rows a wider one of them is proven to hold.

    Raise Damaged where the wider one is, Contradicted where its rows are other ones. A narrow range that is
    itself damaged is not among them: `check` tells of it.
    """
    for wide, inner in nested(ranges).items():
        try:
            whole = contents(listing, wide)
        except Gone:
            if listing.counts(wide):
                raise
            continue  # another writer's compaction just now, or an entry that outlived its file
        for narrow in inner:
            if _is_within(listing, narrow, wide, whole):
                yield narrow


def _is_within(listing: Listing, narrow: LedgerRange, wide: LedgerRange, whole: Contents) -> bool:
    due = {place: digest for place, digest in whole.items() if place[1] in narrow}
    found: Contents = {}
    try:
        for kept in held_files(listing, narrow):
            folder = kept.path.rpartition("/")[0]
            try:
                found |= file_contents(listing, narrow, kept)
            except Gone:  # removed by who died at it: the rest of the range is compared
                found |= {place: digest for place, digest in due.items() if place[0] == folder}
    except (Gone, Damaged):
        return False
    if found != due:
        differs = min(ledger for (_, ledger), _ in found.items() ^ due.items())
        raise Contradicted(
            f"{listing} holds ledger {differs} twice, with other rows in the file of ledgers {wide} than in"
            f" that of {narrow}, and both are as written: remove the one that stellarrow did not write"
        )
    return True


def drop(listing: Listing, ledgers: LedgerRange, files: Iterable[KeptFile]) -> None:
    """Remove a range that is proven to be replaced: files first, so that none is left without an entry."""
    folder = listing.shape.folder
    listing.store.remove([f"{folder}/{kept.path}" for kept in files])
    listing.store.remove([entry_path(folder, ledgers)])
    if listing.shape.is_indexed:
        listing.store.remove([index_path(folder, ledgers)])
