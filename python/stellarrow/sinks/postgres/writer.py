"""One connection of a sink, and the partitions it knows to be live or being loaded bare."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from queue import SimpleQueue

import psycopg

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerBatch, LedgerSet
from stellarrow.sinks.postgres import bulk_load, flush, partitions
from stellarrow.sinks.postgres.assets import Assets
from stellarrow.sinks.postgres.ddl import Layout
from stellarrow.sinks.postgres.flush import Writing
from stellarrow.sinks.postgres.indexing import Spare
from stellarrow.sinks.postgres.rows import span
from stellarrow.sinks.postgres.server import Server


class Writer:
    """Stores batches; one thread at a time. `is_bare` says whether a partition to be made is loaded bare.

    Without `joins`, what others are loading bare is finished first: who is live wants rows seen. A `spare`
    connection, where there is one, helps to finish loads.
    """

    def __init__(
        self,
        server: Server,
        tables: Sequence[Layout],
        assets: Assets,
        *,
        set_up: Callable[[psycopg.Connection], int],
        is_bare: Callable[[int], bool],
        joins: Callable[[], bool],
        spare: Spare,
    ) -> None:
        self._server = server
        self._tables = tables
        self._assets = assets
        self._set_up = set_up
        self._is_worth_loading = is_bare
        self._joins = joins
        self._spare = spare
        self._bare: dict[tuple[Layout, int], bool] = {}
        self._connection: psycopg.Connection | None = None
        self._writing: Writing | None = None

    def connection(self) -> psycopg.Connection:
        """Return the open connection, a new one where the last has broken; nothing is made yet."""
        if self._connection is None or self._connection.closed:
            self._bare.clear()  # its locks, by which others see who loads, are gone
            self._writing = None
            self._connection = self._server.connect()
        return self._connection

    @property
    def backend(self) -> int | None:
        """The process of the server that works for the connection, from any thread."""
        connection = self._connection
        return None if connection is None or connection.closed else connection.info.backend_pid

    @property
    def is_set_up(self) -> bool:
        """Whether the tables are known to be there."""
        return self._writing is not None

    def writing(self) -> Writing:
        """Return the connection to write through, the tables being made where they are not there."""
        connection = self.connection()
        if self._writing is None:
            try:
                with self._server.translate_errors("set up"):
                    size = self._set_up(connection)
            except SinkError:
                connection.close()
                raise
            self._writing = Writing(connection, self._assets, size, set(), self._spare)
        return self._writing

    def store(self, batches: Sequence[LedgerBatch]) -> int:
        """Store what is not there yet, and return the rows."""
        writing, count = self.writing(), 0
        with self._server.translate_errors("write to"):
            while True:
                live, bare = self._sorted(writing, span(batches))
                for (kept, first), ledgers in bare.items():
                    loaded = bulk_load.load(writing, kept, first, ledgers=ledgers, batches=batches)
                    if loaded is None:  # someone has finished it
                        self._leave(writing, kept, first)
                        live[kept] = live.get(kept, LedgerSet()) | ledgers
                    else:
                        count += loaded
                try:
                    count += flush.write(writing, batches, live) if live else 0
                except flush.LoadedBare:  # someone has begun to load one: look again
                    self._bare = {place: True for place, loads in self._bare.items() if loads}
                    continue
                self._finish_passed(writing, span(batches))
                return count

    def leave(self) -> None:
        """Load no more, so that others, or another writer of ours, may finish."""
        if self._writing is None or self._writing.connection.closed:
            return
        with self._server.translate_errors("finish loading"):
            for (kept, first), loads in list(self._bare.items()):
                if loads:
                    self._leave(self._writing, kept, first)

    def left(self) -> list[tuple[Layout, int]]:
        """Return the partitions that are still to be attached: ours, and those of loaders that died."""
        connection = self.connection()
        with self._server.translate_errors("read from"):
            return [
                (kept, first)
                for kept in self._tables
                for first in bulk_load.under_way(connection, kept.place)
            ]

    def finish(self, kept: Layout, first: int) -> None:
        """Attach a partition, unless others still load it."""
        writing = self.writing()
        with self._server.translate_errors("finish loading"):
            bulk_load.finish(writing, kept, first, wait=False)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _sorted(
        self, writing: Writing, ledgers: LedgerSet
    ) -> tuple[dict[Layout, LedgerSet], dict[tuple[Layout, int], LedgerSet]]:
        """Split what is to be written into live ledgers by table, and bare ones by partition."""
        live: dict[Layout, LedgerSet] = {}
        bare: dict[tuple[Layout, int], LedgerSet] = {}
        for kept in self._tables:
            for first, part in partitions.aligned(ledgers, writing.partition_ledgers):
                if self._is_bare(writing, kept, first):
                    bare[kept, first] = part
                else:
                    live[kept] = live.get(kept, LedgerSet()) | part
        return live, bare

    def _is_bare(self, writing: Writing, kept: Layout, first: int) -> bool:
        known = self._bare.get((kept, first))
        if known is None:
            if self._joins():
                known = bulk_load.join(writing, kept, first, begin=self._is_worth_loading(first))
            else:
                bulk_load.finish(writing, kept, first, wait=True)
                known = False
            self._bare[kept, first] = known
        return known

    def _finish_passed(self, writing: Writing, ledgers: LedgerSet) -> None:
        """Attach the partitions that the ledgers have left behind, unless others still load them."""
        for (kept, first), loads in list(self._bare.items()):
            if loads and first + writing.partition_ledgers <= ledgers.last + 1:
                bulk_load.finish(writing, kept, first, wait=False)
                self._leave(writing, kept, first)

    def _leave(self, writing: Writing, kept: Layout, first: int) -> None:
        bulk_load.leave(writing, kept, first)
        self._bare[kept, first] = False

    def note_failure(self, batches: Sequence[LedgerBatch], error: SinkError) -> None:
        """Write down that a flush failed, where the server takes at least that."""
        with suppress(psycopg.Error, SinkError):
            flush.note(
                self.writing().connection,
                *(uuid.uuid4(), span(batches), 0, datetime.now(UTC)),
                status="failed",
                error=str(error),
            )


def queue_of(writers: Sequence[Writer]) -> SimpleQueue[Writer]:
    """Return writers that are free, for who comes first."""
    free: SimpleQueue[Writer] = SimpleQueue()
    for writer in writers:
        free.put(writer)
    return free
