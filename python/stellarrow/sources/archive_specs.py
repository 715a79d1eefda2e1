"""What a history archive on disk tells of contracts: the state of a checkpoint, as its buckets hold it.

The newest checkpoint's buckets are gone through from the newest level on; what was evicted is in those of the
hot archive. Each bucket is compared with the hash that is its name.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from stellarrow.errors import SourceError
from stellarrow.sources.spec_entries import COST_INPUTS, SpecEntries, u32

_STATE: Final = Path(".well-known", "stellar-history.json")
_NONE: Final = "0" * 64
# BucketEntryType and HotArchiveBucketEntryType: an entry, or the key of one that is there no more.
_LIVE, _DEAD, _INIT = 0, 1, 2
_DATA, _CODE = u32(6), u32(7)
_MOST_BYTES: Final = 64 << 20  # of a record
_MARK: Final = 0x8000_0000  # of a record's length (RFC 5531)


def is_archive(place: Path) -> bool:
    """Tell whether a folder is a history archive."""
    return (place / _STATE).is_file()


class SpecArchive(SpecEntries):
    """A history archive in a folder."""

    remedy = "fetch the archive again"

    def __init__(self, place: Path) -> None:
        self._place = place
        self.name = str(place)
        try:
            state = json.loads((place / _STATE).read_bytes())
            live = [one for level in state["currentBuckets"] for one in (level["curr"], level["snap"])]
            evicted = [
                one for level in state.get("hotArchiveBuckets", ()) for one in (level["curr"], level["snap"])
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{place / _STATE} is not the state of an archive ({error})") from error
        self._live = [one for one in live if one != _NONE]
        self._evicted = [one for one in evicted if one != _NONE]
        self._wanted: set[bytes] = set()
        self._found: dict[bytes, tuple[bytes, int]] = {}

    def entry(self, key: bytes) -> tuple[bytes, int] | None:
        """Look for an entry; what is dead in a newer bucket is not looked for in older ones."""
        if key in self._wanted:
            return self._found.get(key)
        self.look_for([key])
        return self._found.get(key)

    def look_for(self, keys: Iterable[bytes]) -> None:
        """Find several entries in one pass over the buckets."""
        left = {*keys} - self._wanted
        self._wanted |= left
        for buckets in (self._live, self._evicted):
            due = {*left}
            for name in buckets:
                if not due:
                    break
                found = dict(self._matching(name, due))
                due -= {*found}
                for key, record in found.items():
                    if record is not None:
                        self._found[key] = record
                        left.discard(key)

    def _matching(self, name: str, keys: set[bytes]) -> list[tuple[bytes, tuple[bytes, int] | None]]:
        """Return a bucket's entries of these keys, None where it is dead, once the bucket is proven."""
        found: list[tuple[bytes, tuple[bytes, int] | None]] = []
        for record in self._records(name):
            kind = int.from_bytes(record[:4], "big", signed=True)
            if kind == _DEAD and record[4:] in keys:
                found.append((record[4:], None))
            elif kind in (_LIVE, _INIT) and record[8:12] in (_DATA, _CODE):
                data = record[8:]
                found += [
                    (key, (data, int.from_bytes(record[4:8], "big"))) for key in keys if _is_of(data, key)
                ]
        return found

    def _records(self, name: str) -> Iterator[bytes]:
        """Yield the records of a bucket; a SourceError at its end where it is not what its name says."""
        path = self._place / "bucket" / name[:2] / name[2:4] / name[4:6] / f"bucket-{name}.xdr.gz"
        digest = sha256()
        try:
            with gzip.open(path) as file:
                while header := file.read(4):
                    size = int.from_bytes(header, "big") & ~_MARK
                    if size > _MOST_BYTES:
                        break
                    record = file.read(size)
                    digest.update(header + record)
                    yield record
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path} cannot be read ({error}): fetch the archive again") from error
        if digest.hexdigest() != name:
            raise SourceError(f"{path} is not what its name says: fetch the archive again")


def _is_of(data: bytes, key: bytes) -> bool:
    """Tell whether LedgerEntryData is what a LedgerKey names: contract data or code."""
    if data[:4] != key[:4]:
        return False
    if key[:4] == _CODE:
        at = 8 + (COST_INPUTS if int.from_bytes(data[4:8], "big") else 0)
        return data[at : at + 32] == key[4:]
    return key[:4] == _DATA and data.startswith(key[4:], 8)
