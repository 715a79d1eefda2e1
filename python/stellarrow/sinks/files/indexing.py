"""Keeping the indexes beside a table's files: read where they are, swept, and made anew by compact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.group_index import (
    INDEX,
    LARGEST,
    SUFFIX,
    FileIndex,
    IndexBuilder,
    decode,
    index_path,
    rows_of_groups,
    write_index,
)
from stellarrow.sinks.files.layout import named_range, trusted
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.proof import held_files, proven_file
from stellarrow.storage.files import Gone


def read_index(listing: Listing, ledgers: LedgerRange) -> Mapping[str, FileIndex]:
    """Return the indexes of a range's files by the digest of a file's bytes; none where none can be read."""
    try:
        return _read(listing, ledgers)
    except SinkError:
        return {}


def _read(listing: Listing, ledgers: LedgerRange) -> Mapping[str, FileIndex]:
    path = index_path(listing.shape.folder, ledgers)
    with readable(listing.store, path), listing.store.read(path) as file:
        return decode(file.read(LARGEST + 1), listing.shape.schema)


def index_fault(listing: Listing, ledgers: LedgerRange) -> str:
    """Say what is wrong with the index of a range, if it has one; nothing where all is well."""
    try:
        found = _read(listing, ledgers)
        held = {kept.sha256 for kept in held_files(listing, ledgers)}
    except Gone:
        return ""  # there is none, or the range left just now
    except Damaged as error:
        return f"{error.what}, and is not used: stellarrow compact makes it anew"
    if set(found) - held:
        return "is the index of other files, and is not used: stellarrow compact makes it anew"
    return ""


def index_names(listing: Listing) -> dict[str, LedgerRange]:
    """Return the indexes that lie in a table's folder, by path."""
    if not listing.shape.is_indexed:
        return {}
    files = listing.store.list(f"{listing.shape.folder}/{INDEX}")
    named = ((file.path, named_range(file.path, SUFFIX)) for file in files)
    return {path: ledgers for path, ledgers in named if ledgers}


def sweep(listing: Listing) -> None:
    """Remove the indexes of ranges that are there no more."""
    names = index_names(listing)  # first: of a range that comes meanwhile there is none among them
    there = set(listing.parts()) if names else set()
    if gone := [path for path, ledgers in names.items() if ledgers not in there]:
        listing.store.remove(gone)


def reindex(listing: Listing) -> int:
    """Make the indexes that are missing or wrong, and return of how many ranges."""
    made = 0
    for ledgers, _ in trusted(listing.parts()) if listing.shape.is_indexed else ():
        try:
            made += _reindex(listing, ledgers, held_files(listing, ledgers))
        except Gone:
            if listing.counts(ledgers):
                raise
    return made


def _reindex(listing: Listing, ledgers: LedgerRange, files: Sequence[KeptFile]) -> bool:
    digests = {kept.sha256 for kept in files}
    worth = listing.shape.is_worth_an_index(sum(kept.rows for kept in files))
    if "" in digests or not worth or digests <= set(read_index(listing, ledgers)):
        return False
    found = []
    for kept in files:
        builder = IndexBuilder(listing.shape.schema)
        with proven_file(listing, ledgers, kept) as file:
            for rows in rows_of_groups(file, listing.shape.schema):
                builder.add(rows)
        found.append(builder.built(kept.sha256))
    write_index(listing.store, index_path(listing.shape.folder, ledgers), listing.shape.schema, found)
    return True
