"""Copying a range to another place of the same structure: read back and compared before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from stellarrow.errors import ConfigError, SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.net.printable import printable
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.group_index import index_path
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.location import Place
from stellarrow.sinks.files.manifest import KeptFile, entry_path
from stellarrow.sinks.files.proof import held_files, measured
from stellarrow.sinks.files.range_writer import enter
from stellarrow.storage.files import FileStore, Gone

_BLOCK: Final = 1 << 20


def archive_location(text: str, place: str) -> str:
    """Return an archive's location as records keep it; a ConfigError where it lies in the place, or is it."""
    root, own = _root(text), _root(place)
    if redacted_url(root) != printable(root):
        raise ConfigError(
            f"the archive {redacted_url(root)} has a credential in its URL, which every record would keep:"
            " give credentials in the environment"
        )
    if "?" in text:
        raise ConfigError(
            f"the archive {redacted_url(text)} has options, which records do not keep: leave them out, and"
            " name an S3-compatible store by AWS_ENDPOINT_URL in the environment"
        )
    for inner, outer in ((root, own), (own, root)):
        if f"{inner}/".startswith(f"{outer.rstrip('/')}/"):
            raise ConfigError(f"the archive {root} and the place {own} lie in each other: choose another")
    return root


def _root(text: str) -> str:
    kind, colon, _ = text.partition(":")
    has_format = bool(colon) and kind in ("parquet", "jsonl", "csv")
    return Place.parse(text if has_format else f"parquet:{text}").root


def local_folder(text: str) -> Path | None:
    """Return the folder of a place on this machine; None where it is in an object store."""
    root = _root(text)
    return None if "://" in root else Path(root)


class Archive:
    """A place that holds what left another one, table by table, readable as that is."""

    def __init__(self, store: FileStore, location: str) -> None:
        self.store = store
        self.location = location
        self._compared: set[str] = set()

    def listing(self, of: Listing) -> Listing:
        """Return the table there that has the name of one here; SchemaMismatch where it is another."""
        there = Listing(self.store, of.shape)
        if of.shape.folder not in self._compared:
            there.check()
            self._compared.add(of.shape.folder)
        return there

    def keep(self, listing: Listing, ledgers: LedgerRange, files: Sequence[KeptFile]) -> None:
        """Copy a range, read it back, and enter it there; what is there already is proven to be the same."""
        there = self.listing(listing)
        with self.store.alone(listing.shape.folder):
            for kept in files:
                self._copy(listing, kept)
            for kept in files:
                _prove(there, kept)
            enter(self.store, listing.shape, ledgers, files, new=False)

    def _copy(self, listing: Listing, kept: KeptFile) -> None:
        path = f"{listing.shape.folder}/{kept.path}"
        upload = self.store.create()
        try:
            digest = hashlib.sha256()
            with readable(listing.store, path), listing.store.read(path) as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    upload.write(block)
            if digest.hexdigest() != kept.sha256:
                raise damaged(f"{listing}/{kept.path}", "has other bytes than it was written with")
            upload.place(path, new=True)
        finally:
            upload.discard()

    def forget(self, listing: Listing, ledgers: LedgerRange, files: Sequence[KeptFile]) -> None:
        """Remove a range for good; what is there and is not what was archived stays, and is told."""
        there = self.listing(listing)
        with self.store.alone(listing.shape.folder):
            for kept in files:
                if holds(there, kept) is False:  # None where it was removed by who died at it
                    raise SinkError(
                        f"{there}/{kept.path} is not what was archived: move it away, then run it again"
                    )
            remove_range(there, ledgers, files)


def holds(listing: Listing, kept: KeptFile) -> bool | None:
    """Tell whether a file's bytes are those; None where there is no such file."""
    path = f"{listing.shape.folder}/{kept.path}"
    digest = hashlib.sha256()
    try:
        with listing.store.read(path) as file, readable(listing.store, path):
            while block := file.read(_BLOCK):
                digest.update(block)
    except Gone:
        return None
    return digest.hexdigest() == kept.sha256


def _prove(there: Listing, kept: KeptFile) -> None:
    if not holds(there, kept):
        raise SinkError(
            f"{there}/{kept.path} is not what was copied there: the original stays; move that file away, then"
            " run the same again"
        )


def proven_files(listing: Listing, ledgers: LedgerRange) -> tuple[KeptFile, ...]:
    """Return what a range's files must be; those of an older stellarrow, which tells no digest, are read."""
    return tuple(_known(listing, ledgers, kept) for kept in held_files(listing, ledgers))


def _known(listing: Listing, ledgers: LedgerRange, kept: KeptFile) -> KeptFile:
    return kept if kept.sha256 else measured(listing, ledgers, kept)


def remove_range(listing: Listing, ledgers: LedgerRange, files: Sequence[KeptFile]) -> None:
    """Remove a range's files and entry, what makes it count first: it is there whole, or not there."""
    for path in _paths(listing, ledgers, files):
        listing.store.remove([path])


def _paths(listing: Listing, ledgers: LedgerRange, files: Sequence[KeptFile]) -> Iterator[str]:
    entry = entry_path(listing.shape.folder, ledgers)
    paths = [f"{listing.shape.folder}/{kept.path}" for kept in files]
    yield from [entry, *paths] if listing.shape.partition else [*paths, entry]
    if listing.shape.is_indexed:
        yield index_path(listing.shape.folder, ledgers)
