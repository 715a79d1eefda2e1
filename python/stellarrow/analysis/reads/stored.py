"""Stored tables as they are now.

A folder is looked at again every now and then, by one thread for all readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stellarrow.analysis.reads.indexes import Indexes
from stellarrow.analysis.reads.kept import MOST_BYTES, KeptRows
from stellarrow.analysis.reads.served import ServedTables
from stellarrow.analysis.reads.stored_table import StoredTable
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.departed import Departed, records_folder, table_of_record
from stellarrow.sinks.files.departures import KnownRecords
from stellarrow.sinks.files.lacking import Reach
from stellarrow.sinks.files.location import Place, open_existing
from stellarrow.storage.files import FileStore, Found


class Stored:
    """The tables of a place, by name; `look` finds out what there is now."""

    def __init__(
        self,
        location: str,
        tables: Sequence[str] | None = None,
        *,
        may_come: bool = False,
        in_order: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Open a place; one that `may_come` need not be there yet. So much is kept of rows for pages.

        What cannot be read `in_order` is not there; refused where it is named.
        """
        self._store: FileStore = Place.parse(location).open() if may_come else open_existing(location)
        self._tables: dict[str, StoredTable] = {}
        self._kept = KeptRows(most_bytes)
        self._indexes = Indexes()
        self._records = KnownRecords()
        self._reach = Reach()
        self._wanted = None if tables is None else frozenset(tables)
        self._served = ServedTables(self._store, self._wanted, in_order=in_order)
        self.look()

    def __str__(self) -> str:
        return str(self._store)

    @property
    def tables(self) -> dict[str, StoredTable]:
        return self._tables

    @property
    def kept_bytes(self) -> int:
        """What is kept of rows that pages were read from."""
        return self._kept.size_bytes

    @property
    def network(self) -> str | None:
        """The passphrase of whose ledgers they are, None where there is no table."""
        known = {one.listing.shape.facts["network"] for one in self._tables.values()}
        if len(known) > 1:
            raise ConfigError(f"{self} has tables of several networks: name a folder of one")
        return next(iter(known), None)

    def look(self) -> bool:
        """Look again; tell whether there is more, or less, than before."""
        before = self._tables
        if self._wanted is None or set(self._tables) < self._wanted:
            found = self._find()
        else:
            found = {
                name: StoredTable.look(one.listing, self._kept, self._indexes) for name, one in before.items()
            }
        seen = self._without_departed(found)
        reach = self._reach.by(part for one in seen.values() for part in (one.coverage, one.departures.gone))
        self._tables = {name: replace(one, reach=reach) for name, one in seen.items()}
        whole = {(one.listing.shape.folder, held) for one in self._tables.values() for held in one.held}
        there = {(one.listing.shape.folder, part) for one in self._tables.values() for part in one.ranges}
        self._kept.forget(lambda key: key[:2] not in there)
        self._indexes.forget(lambda key: key not in whole)
        return _facts(before) != _facts(self._tables)

    def _without_departed(self, tables: dict[str, StoredTable]) -> dict[str, StoredTable]:
        """Give tables what left them: listed after their files, so that what leaves meanwhile is in both."""
        records: dict[str, list[Found]] = {}
        folders = {records_folder(one.listing.shape.folder).rpartition("/")[0] for one in tables.values()}
        for folder in sorted(folders):
            for file in self._store.list(folder, deep=True):
                if table := table_of_record(file.path):
                    records.setdefault(table, []).append(file)
        return {
            name: one.without(records.get(one.listing.shape.folder, ()), self._records)
            for name, one in tables.items()
        }

    def _find(self) -> dict[str, StoredTable]:
        found = self._served.find().items()
        return {name: StoredTable.look(one, self._kept, self._indexes) for name, one in found}

    def close(self) -> None:
        self._store.close()


def _facts(tables: dict[str, StoredTable]) -> dict[str, tuple[tuple[LedgerRange, ...], Departed]]:
    return {name: (one.ranges, one.departures.departed) for name, one in tables.items()}
