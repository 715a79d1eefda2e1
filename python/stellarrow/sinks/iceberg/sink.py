"""The sink: every table an Iceberg table of one namespace, every table written on a thread of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import pyarrow as pa

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import window
from stellarrow.sinks.files.worker import Worker
from stellarrow.sinks.iceberg.location import OPTIONS, Location
from stellarrow.sinks.lakehouse.coverage import Kept, kept_tables
from stellarrow.sinks.lakehouse.lane import Lane

if TYPE_CHECKING:
    from stellarrow.sinks.iceberg.reading import HeldIceberg

_PATIENCE: Final = 5.0  # seconds that close leaves work in hand to end


class IcebergSink:
    """Keep tables as Iceberg tables. A commit has rows and, as a table's property, which ledgers are there.

    Any number of writers may write the same ledgers where the catalog compares before it swaps: who comes
    second writes what is not covered by then. Opening it asks nothing of the catalog; coverage reads there,
    and only write and commit change it.
    """

    def __init__(self, url: str, tables: Sequence[str], *, options: SinkOptions) -> None:
        from stellarrow.sinks.iceberg.catalog import Namespace  # noqa: PLC0415  an extra

        self._location = Location.parse(url)
        self._namespace = Namespace(self._location)
        self._format = Parquet(self._location.codec)
        self._upkeep = Worker("stellarrow-upkeep", waiting=0)
        kept = kept_tables(tables, "the Iceberg sink", options)
        self._lanes = {one.asked: self._lane(one) for one in kept}

    def _lane(self, kept: Kept) -> Lane:
        from stellarrow.sinks.iceberg.book import IcebergBook  # noqa: PLC0415  an extra
        from stellarrow.sinks.iceberg.upkeep import Merging  # noqa: PLC0415  an extra

        merging = Merging(self._namespace, kept.meant.name, self._format)

        def after_commit(ledgers: LedgerSet) -> None:
            """Let a range that is full by now be merged beside the writers."""
            around = window(ledgers.last, self._location.ledgers)
            if ledgers.last == around.end and LedgerSet([around]) != ledgers:
                self._upkeep.do(partial(merging.guarded, around, self._upkeep.stopped))

        stored = kept.stored
        book = IcebergBook(
            self._namespace,
            kept.meant,
            kept.making,
            stored,
            self._format,
            snapshots=self._location.snapshots,
            after_commit=after_commit,
        )
        size = self._location.ledgers
        return Lane(kept.meant.name, book, stored, self._format, ledgers_per_file=size)

    options: ClassVar[Mapping[str, str]] = OPTIONS

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> IcebergSink:
        """Open a namespace, as the registry does."""
        return cls(url, tables, options=options)

    @classmethod
    def root(cls, url: str) -> str:
        """Name the namespace alike, however it is written."""
        return Location.parse(url).root

    @classmethod
    def held(cls, url: str) -> list[HeldIceberg]:
        """Return the tables of a namespace, whoever wrote them."""
        from stellarrow.sinks.iceberg.catalog import Namespace  # noqa: PLC0415  an extra
        from stellarrow.sinks.iceberg.reading import held_tables  # noqa: PLC0415  an extra

        with closing(Namespace(Location.parse(url))) as namespace:
            return held_tables(namespace)  # which read files, and ask the catalog nothing more

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that contracts' own tables in a namespace have."""
        from stellarrow.sinks.iceberg.catalog import Namespace  # noqa: PLC0415  an extra
        from stellarrow.sinks.iceberg.reading import held_typed  # noqa: PLC0415  an extra

        with closing(Namespace(Location.parse(url))) as namespace:
            return {one.name: one.schema for one in held_typed(namespace)}

    @classmethod
    def compact(cls, url: str, ledgers_per_file: int) -> int:
        """Merge what following left into files of so many ledgers; return how many files went."""
        from stellarrow.sinks.iceberg.catalog import Namespace  # noqa: PLC0415  an extra
        from stellarrow.sinks.iceberg.upkeep import compact  # noqa: PLC0415  an extra

        location = Location.parse(url)
        with closing(Namespace(location)) as namespace:
            return compact(namespace, location, ledgers_per_file)

    @property
    def ledgers_per_part(self) -> int:
        """How many ledgers a file holds at most."""
        return self._location.ledgers

    def health(self) -> Health:
        """Ask the catalog, without changing anything there."""
        began = time.monotonic()
        answer = self._namespace.health()
        return Health("ok", answer, latency_ms=(time.monotonic() - began) * 1_000)

    def write(self, batch: LedgerBatch) -> None:
        for asked, lane in self._lanes.items():
            if asked not in batch.tables:
                raise ConfigError(f"the Iceberg sink keeps {asked}, which is not decoded: name it in tables")
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
        for lane in self._lanes.values():
            lane.discard(patience=deadline - time.monotonic())
        self._upkeep.stop(patience=deadline - time.monotonic())
        self._namespace.close()
