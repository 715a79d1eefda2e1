"""Indexes of files as they were read lately: so many bytes of them are kept at most."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from stellarrow.analysis.reads.layouts import Layouts
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.group_index import FileIndex, Probe
from stellarrow.sinks.files.indexing import read_index
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import KeptFile

Key = tuple[str, LedgerRange]  # a table's folder, and the ledgers of a file

MOST_BYTES: Final = 64 << 20


class Indexes:
    """Tells which row groups of a file may hold what is looked for; any thread may ask."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, dict[str, FileIndex]] = OrderedDict()
        self._bytes = 0
        self.layouts = Layouts()

    def groups(
        self, listing: Listing, ledgers: LedgerRange, kept: KeptFile, probe: Probe
    ) -> list[int] | None:
        """Return the row groups to read of a file, all that may hold such rows; None where nothing tells."""
        if not probe or not listing.shape.is_worth_an_index(kept.rows):
            return None
        found = self._of(listing, ledgers, kept.sha256)
        # An index is of the bytes that the manifest names now, or of none.
        return None if found is None or sum(found.rows) != kept.rows else found.groups(probe)

    def forget(self, is_gone: Callable[[Key], bool]) -> None:
        """Let go of what is no longer there."""
        with self._lock:
            for key in [key for key in self._held if is_gone(key)]:
                self._bytes -= _size(self._held.pop(key))

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def _of(self, listing: Listing, ledgers: LedgerRange, sha256: str) -> FileIndex | None:
        key = (listing.shape.folder, ledgers)
        with self._lock:
            if sha256 in (held := self._held.get(key, {})):
                self._held.move_to_end(key)
                return held[sha256]
        if not sha256 or not (found := dict(read_index(listing, ledgers))):
            return None
        with self._lock:
            self._bytes += _size(found) - _size(self._held.pop(key, {}))
            self._held[key] = found
            while self._bytes > self._most_bytes and self._held:
                _, gone = self._held.popitem(last=False)
                self._bytes -= _size(gone)
        return found.get(sha256)


def _size(found: dict[str, FileIndex]) -> int:
    return sum(one.size_bytes for one in found.values())
