"""The sink: every table a Delta table below one place, every table written on a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from threading import Timer
from typing import ClassVar, Final

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.delta.book import DeltaBook
from stellarrow.sinks.delta.location import OPTIONS, Location
from stellarrow.sinks.delta.reading import HeldDelta, held_tables, held_typed
from stellarrow.sinks.delta.repairing import forget
from stellarrow.sinks.delta.upkeep import Upkeep
from stellarrow.sinks.files.delta_beside import refuse_files
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import window
from stellarrow.sinks.files.worker import Worker
from stellarrow.sinks.lakehouse.coverage import Kept, kept_tables
from stellarrow.sinks.lakehouse.lane import Lane
from stellarrow.storage.files import FileStore

_PATIENCE: Final = 5.0  # seconds that close leaves work in hand to end


class DeltaSink:
    """Keep tables as Delta tables. A commit of a table's log has rows and which ledgers they are of.

    Any number of writers may write the same ledgers: each number of a log is one writer's, and who comes
    second writes what is not covered by then. Opening it asks nothing of the place; coverage reads there, and
    only write and commit change it.
    """

    def __init__(
        self,
        place: str | FileStore,
        tables: Sequence[str],
        *,
        options: SinkOptions,
        codec: str | None = None,
        ledgers_per_file: int = 1_000,
    ) -> None:
        self._store = Location(place).open() if isinstance(place, str) else place
        self._ledgers_per_file = ledgers_per_file
        self._format = Parquet(codec)
        self._upkeep = Worker("stellarrow-upkeep", waiting=0)
        self._kept = kept_tables(tables, "the Delta sink", options)
        self._lanes = {one.asked: self._lane(one) for one in self._kept}

    def _lane(self, kept: Kept) -> Lane:
        name, stored = kept.meant.name, kept.stored
        upkeep = Upkeep.of(self._store, name, stored, self._format, self._ledgers_per_file)
        book = DeltaBook(
            self._store,
            kept.meant,
            kept.making,
            stored,
            self._format,
            after_commit=partial(self._after_commit, upkeep),
        )
        size = self._ledgers_per_file
        return Lane(name, book, stored, self._format, ledgers_per_file=size)

    def _after_commit(self, upkeep: Upkeep, version: int, ledgers: LedgerSet) -> None:
        """Let a range that is full by now be merged, and a checkpoint be written where one is due."""
        around = window(ledgers.last, self._ledgers_per_file)
        is_full = ledgers.last == around.end and LedgerSet([around]) != ledgers
        if is_full or upkeep.is_due(version):
            due = around if is_full else None
            self._upkeep.do(partial(upkeep.guarded, version, due, self._upkeep.stopped))

    options: ClassVar[Mapping[str, str]] = OPTIONS

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> DeltaSink:
        """Open a place of Delta tables, as the registry does."""
        place = Location.parse(url)
        refuse_files(place.root, tables)
        return cls(
            place.open(instance_credentials=options.instance_credentials),
            tables,
            options=options,
            codec=place.codec,
            ledgers_per_file=place.ledgers,
        )

    @classmethod
    def root(cls, url: str) -> str:
        """Name the place alike, however it is written."""
        return Location.parse(url).root

    @classmethod
    def held(cls, url: str) -> list[HeldDelta]:
        """Return the tables of a place, whoever wrote them."""
        return held_tables(Location.parse(url).open())

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that contracts' own tables in a place have."""
        return {one.name: one.schema for one in held_typed(Location.parse(url).open())}

    @classmethod
    def forget(cls, url: str, table: str, ledgers: LedgerSet) -> None:
        """Take a table's rows of ledgers out, and that they are covered, in one commit."""
        forget(Location.parse(url).open(), table, ledgers)

    @classmethod
    def compact(cls, url: str, ledgers_per_file: int) -> int:
        """Merge what following left, write checkpoints, remove what nobody reads; return how many went."""
        place = Location.parse(url)
        store, gone = place.open(), 0
        for held in held_tables(store):
            upkeep = Upkeep.of(store, held.name, held.stored, Parquet(place.codec), ledgers_per_file)
            gone += sum(upkeep.merge(around) for around in upkeep.windows())
            upkeep.checkpoint()
        return gone

    @property
    def ledgers_per_part(self) -> int:
        """How many ledgers a file holds at most."""
        return self._ledgers_per_file

    def health(self) -> Health:
        """Look at the place: is it there, may it be written to, is there room?"""
        return self._store.health()

    def write(self, batch: LedgerBatch) -> None:
        for asked, lane in self._lanes.items():
            if asked not in batch.tables:
                raise ConfigError(f"the Delta sink keeps {asked}, which is not decoded: name it in tables")
            lane.write(batch.tables[asked], LedgerRange(batch.first, batch.last))

    def commit(self) -> None:
        for lane in self._lanes.values():
            lane.finish()
        for lane in self._lanes.values():
            lane.wait()

    def coverage(self) -> LedgerSet:
        covered, *others = (lane.covered for lane in self._lanes.values())
        for other in others:
            covered &= other
        return covered

    def close(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        hurry = Timer(_PATIENCE, self._store.close)
        hurry.start()
        for lane in self._lanes.values():
            lane.discard(patience=deadline - time.monotonic())
        self._upkeep.stop(patience=deadline - time.monotonic())
        hurry.cancel()
        self._store.close()
