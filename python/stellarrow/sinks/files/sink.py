"""The sink over files: every table in a folder of its own, every table written on a thread of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from threading import Timer
from typing import ClassVar, Final

import pyarrow as pa

from stellarrow.core.projection import as_made
from stellarrow.core.tables import table
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.files.delta_beside import refuse_delta
from stellarrow.sinks.files.formats import Format
from stellarrow.sinks.files.layout import Partition
from stellarrow.sinks.files.location import OPTIONS, Place, open_existing, open_files
from stellarrow.sinks.files.range_writer import shape_of
from stellarrow.sinks.files.reading import HeldFiles, format_of, held_files_in, typed_columns
from stellarrow.sinks.files.signed import checked, signed
from stellarrow.sinks.files.table_writer import TableFiles
from stellarrow.sinks.files.worker import Worker
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles

_PATIENCE: Final = 5.0  # seconds that close leaves work in hand to end


class FileSink:
    """Keep tables as files in a folder or an object store. Whole ranges become durable as they fill.

    Opening it asks nothing of the place; coverage reads there, and only write and commit change it.
    """

    def __init__(
        self,
        place: str | os.PathLike[str] | FileStore,
        tables: Sequence[str],
        *,
        format: Format,
        network: str | Network,
        where: Filter | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        partition: str = "ledgers",
        ledgers_per_file: int = 1_000,
        unsigned: str = "unsigned",
    ) -> None:
        if ledgers_per_file < 1:
            raise ConfigError(f"ledgers_per_file is {ledgers_per_file}: it must be at least 1")
        if not tables:
            raise ConfigError(f"the {format.name} sink has no table: name at least one")
        self._name = format.name
        self._takes_dictionaries = format.takes_dictionaries
        self._store = open_files(place) if isinstance(place, str | os.PathLike) else place
        self._compactions = Worker("stellarrow-compact", waiting=0)
        facts = {
            "network": Network.of(network).passphrase,
            "filter": str(where or ""),
            "decoded": "yes" if decoded else "",
            "transfers": "" if transfers == "derive" else transfers,
            "format": format.name,
            "codec": format.codec,
        }
        self._ledgers_per_file = ledgers_per_file
        self._signed = checked(unsigned) == "signed"
        if self._signed:
            facts["unsigned"] = unsigned
        self._tables: dict[str, TableFiles] = {}
        try:
            self._open(tables, facts, format, partition, ledgers_per_file)
        except BaseException:
            self.close()
            raise

    def _open(
        self,
        tables: Sequence[str],
        facts: dict[str, str],
        format: Format,
        partition: str,
        ledgers_per_file: int,
    ) -> None:
        for asked in tables:
            meant = table(asked)
            clash = next((name for name in self._tables if table(name).name == meant.name), None)
            if clash == asked:
                raise ConfigError(f"{asked} is named twice: name it once")
            if clash:
                raise ConfigError(f"{clash} and {asked} share one folder: extract them to two folders")
            self._tables[asked] = TableFiles(
                self._store,
                shape_of(meant, facts, format, Partition.of(partition)),
                ledgers_per_file=ledgers_per_file,
                compactions=self._compactions,
            )

    options: ClassVar[Mapping[str, str]] = OPTIONS

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> FileSink:
        """Open a place of files, as the registry does."""
        place = Place.parse(url)
        refuse_delta(place.root, tables)
        return FileSink(
            place.open(instance_credentials=options.instance_credentials),
            tables,
            format=format_of(place.format, place.codec),
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
            partition=place.partition,
            ledgers_per_file=place.ledgers,
            unsigned=place.unsigned,
        )

    @classmethod
    def root(cls, url: str) -> str:
        """Name the place alike, however it is written."""
        return Place.parse(url).root

    @classmethod
    def held(cls, url: str) -> list[HeldFiles]:
        """Return the tables of a place, whoever wrote them."""
        return held_files_in(open_existing(url))

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that the typed tables of a place have."""
        return typed_columns(Place.parse(url).open())

    @property
    def ledgers_per_part(self) -> int:
        """How many ledgers a file holds at most."""
        return self._ledgers_per_file

    @property
    def takes_dictionaries(self) -> bool:
        """Whether its format is made of dictionaries anyway; signed numbers are made of plain rows."""
        return self._takes_dictionaries and not self._signed

    @property
    def files_written(self) -> int:
        """How many files have become durable, of all tables; what was merged of them is not counted."""
        return sum(files.files_written for files in self._tables.values())

    def health(self) -> Health:
        """Look at the place: is it there, may it be written to, is there room?"""
        return self._store.health()

    def write(self, batch: LedgerBatch) -> None:
        for asked, files in self._tables.items():
            if asked not in batch.tables:
                raise ConfigError(
                    f"the {self._name} sink keeps {asked}, which is not decoded: name it in tables"
                )
            ledgers = LedgerRange(batch.first, batch.last)
            if self._signed:
                rows = batch.tables[asked]
                files.write(rows.cast(signed(rows.schema)), ledgers)
            else:
                files.write(as_made(batch.tables, asked), ledgers)

    def commit(self) -> None:
        for files in self._tables.values():
            files.settle()
            files.finish()
        for files in self._tables.values():
            files.wait()
        self._compactions.check()

    def coverage(self) -> LedgerSet:
        covered, *others = (files.covered for files in self._tables.values())
        for other in others:
            covered &= other
        return covered

    def left(self) -> tuple[LedgerSet, LedgerSet]:
        """Return the ledgers that were archived in any table, and those that were deleted."""
        archived, deleted = LedgerSet(), LedgerSet()
        for files in self._tables.values():
            more, gone = files.left()
            archived, deleted = archived | more, deleted | gone
        return archived - deleted, deleted

    def is_written_beside(self) -> bool:
        """Tell whether another process writes to the folder; of an object store it cannot be told."""
        return isinstance(self._store, LocalFiles) and self._store.is_written_beside()

    def close(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        hurry = Timer(_PATIENCE, self._store.close)
        hurry.start()
        for files in self._tables.values():
            files.discard(patience=deadline - time.monotonic())
        self._compactions.stop(patience=deadline - time.monotonic())
        hurry.cancel()
        self._store.close()
