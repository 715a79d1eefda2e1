"""Which tables of a place can be read in order: those that have the columns their rows are in order by."""

from __future__ import annotations

import logging
from collections.abc import Set
from typing import Final

from stellarrow.analysis.reads.order import key_of
from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import is_typed
from stellarrow.errors import ConfigError, SinkError
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.reading import Unreadable, found_tables
from stellarrow.storage.files import FileStore

_log: Final = logging.getLogger(__name__)


class ServedTables:
    """Finds the tables of a place by name, all or those that are wanted.

    Of those `in_order` one that lacks a column of its key is refused where it is named, else left out, which
    the log says once.
    """

    def __init__(self, store: FileStore, wanted: Set[str] | None, *, in_order: bool) -> None:
        self._store = store
        self._wanted = wanted
        self._in_order = in_order
        self._left_out: set[str] = set()

    def find(self) -> dict[str, Listing]:
        """Return what is there now; what cannot be read is left out."""
        found: dict[str, Listing] = {}
        for one in found_tables(self._store, departed=True):
            if isinstance(one, Unreadable):
                continue
            name = one.shape.facts["table"]
            if is_typed(name) or (self._wanted is not None and name not in self._wanted):
                continue  # a typed table has no key, in whose order its rows would be told
            if self._in_order and not self._has_order(one, name):
                continue
            if name in found:
                raise ConfigError(f"{self._store} holds {name} twice: name the folder of one of them")
            found[name] = one
        return found

    def _has_order(self, listing: Listing, name: str) -> bool:
        try:
            chosen_columns(listing.shape.schema, key_of(name), listing)
        except SinkError as error:
            if self._wanted is not None:
                raise
            if name not in self._left_out:
                self._left_out.add(name)
                _log.warning("%s is not served: %s", name, error)
            return False
        return True
