"""The sink: buffers batches, and stores them each ledger once, live or as a backfill."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psycopg

from stellarrow.errors import ConfigError, SinkError, SinkUnavailable, Unavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.metrics import Metrics
from stellarrow.resilience import Guard, Policy
from stellarrow.sinks.postgres import coverage, flush, loading, partitions
from stellarrow.sinks.postgres.assets import Assets
from stellarrow.sinks.postgres.kept import Making, keep
from stellarrow.sinks.postgres.layout import Layout, layout
from stellarrow.sinks.postgres.migrations import migrate
from stellarrow.sinks.postgres.rows import span
from stellarrow.sinks.postgres.server import Server, without_mode

MODES: Final = ("auto", "live", "backfill")
PARTITION_LEDGERS: Final = 64_000  # as many as the public lakes put into a folder

_LEAST_BARE: Final = 1_000  # ledgers for which making and attaching a bare partition is worth it
_BUFFER_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Flush:
    """What one flush did, for those who watch; `rows` are of all tables."""

    ledgers: LedgerSet
    rows: int
    seconds: float


class PostgresSink:
    """Keep tables in a PostgreSQL database. Rows, states, coverage and progress move in one transaction.

    In mode `auto`, partitions that will get many of the `expected` ledgers are loaded bare, and attached when
    they are complete or on close; until then their rows are durable, but no query sees them. `live` loads
    none that way, `backfill` all that are new; the URL may say it, as `?mode=live`.
    """

    def __init__(
        self,
        url: str,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        mode: str | None = None,
        expected: LedgerSet | None = None,
        batch_rows: int = 10_000,
        partition_ledgers: int = PARTITION_LEDGERS,
        policy: Policy | None = None,
        metrics: Metrics | None = None,
        stop: threading.Event | None = None,
        watch: Callable[[Flush], None] | None = None,
    ) -> None:
        url, mode_in_url = without_mode(url)
        mode = mode or mode_in_url or "auto"
        if mode not in MODES:
            raise ConfigError(f"the mode {mode!r} is not known: choose among {', '.join(MODES)}")
        if batch_rows < 1 or partition_ledgers < 1:
            raise ConfigError("batch_rows and partition_ledgers must be at least 1")
        if not tables:
            raise ConfigError("the PostgreSQL sink has no table: name at least one")
        if where and where.select:
            raise ConfigError(
                "PostgreSQL's tables have all columns: leave select out, or write to parquet:FOLDER"
            )
        self._tables = _laid_out(tables)
        self._server = Server(url)
        self._network = Network.of(network)
        self._making = Making(self._network.passphrase, str(where or ""), decoded, transfers)
        self._assets = Assets(self._network)
        self._mode = mode
        # What follows the chain comes ledger by ledger, and is wanted at once.
        self._expected = LedgerSet(part for part in expected or () if part.last is not None)
        self._batch_rows = batch_rows
        self._watch = watch
        self._guard = Guard(self._server.name, policy, metrics=metrics, stop=stop, refusal=SinkUnavailable)
        self._buffer: list[LedgerBatch] = []
        self._buffered_rows = self._buffered_bytes = 0
        self._bare: dict[tuple[Layout, int], bool] = {}
        self._open: psycopg.Connection | None = None
        self._size = partition_ledgers
        self._closed = False
        self._connection()

    def write(self, batch: LedgerBatch) -> None:
        for kept in self._tables:
            if kept.asked not in batch.tables:
                raise ConfigError(
                    f"the PostgreSQL sink keeps {kept.asked}, which is not decoded: name it in tables"
                )
        self._buffer.append(batch)
        for kept in self._tables:
            rows = batch.tables[kept.asked]
            self._buffered_rows += rows.num_rows
            self._buffered_bytes += rows.nbytes
        if self._buffered_rows >= self._batch_rows or self._buffered_bytes >= _BUFFER_BYTES:
            self._flush()

    def commit(self) -> None:
        self._flush()

    def coverage(self) -> LedgerSet:
        return self._guard.call("coverage", self._covered)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._buffer.clear()
        with suppress(Unavailable):  # what is loaded is durable: whoever comes next attaches it
            if self._open is not None:
                self._finish_all()
        if self._open is not None:
            self._open.close()

    def _connection(self) -> psycopg.Connection:
        """Return the connection, a new one where the last has broken."""
        if self._open is None or self._open.closed:
            self._bare.clear()  # others have seen us go
            connection = self._server.connect()
            with self._server.told("set up"):
                migrate(connection)
                self._size = keep(connection, self._tables, self._making, size=self._size)
            self._open = connection
        return self._open

    def _writing(self) -> flush.Writing:
        return flush.Writing(self._connection(), self._assets, self._size)

    def _covered(self) -> LedgerSet:
        places = [kept.place for kept in self._tables]
        connection = self._connection()
        with self._server.told("read from"):
            loaded = loading.durable(connection, places)
            covered = coverage.read(connection, places)
        first, *others = (covered[place] | loaded[place] for place in places)
        for other in others:
            first &= other
        return first

    def _flush(self) -> None:
        if not self._buffer:
            return
        began = time.monotonic()
        batches, self._buffer = self._buffer, []
        self._buffered_rows = self._buffered_bytes = 0
        try:
            rows = self._guard.call("flush", lambda: self._store(batches))
        except SinkError as error:
            self._buffer = batches
            self._note_failure(batches, error)
            raise
        if self._watch:
            self._watch(Flush(span(batches), rows, time.monotonic() - began))

    def _store(self, batches: Sequence[LedgerBatch]) -> int:
        """Store what is not there; as often as needed, for others may begin or end a load meanwhile."""
        writing, count = self._writing(), 0
        with self._server.told("write to"):
            while True:
                live, bare = self._sorted(writing, span(batches))
                for (kept, first), ledgers in bare.items():
                    loaded = loading.load(writing, kept, first, ledgers=ledgers, batches=batches)
                    if loaded is None:
                        self._bare[kept, first] = False
                        live[kept] = live.get(kept, LedgerSet()) | ledgers
                    else:
                        count += loaded
                try:
                    count += flush.write(writing, batches, live) if live else 0
                except flush.LoadedBare:
                    self._bare = {place: bare for place, bare in self._bare.items() if bare}
                    continue
                self._finish_passed(writing, span(batches))
                return count

    def _sorted(
        self, writing: flush.Writing, ledgers: LedgerSet
    ) -> tuple[dict[Layout, LedgerSet], dict[tuple[Layout, int], LedgerSet]]:
        """Split what is to be written into live ledgers by table, and bare ones by partition."""
        live: dict[Layout, LedgerSet] = {}
        bare: dict[tuple[Layout, int], LedgerSet] = {}
        for kept in self._tables:
            for first, part in partitions.aligned(ledgers, self._size):
                if self._is_bare(writing, kept, first):
                    bare[kept, first] = part
                else:
                    live[kept] = live.get(kept, LedgerSet()) | part
        return live, bare

    def _is_bare(self, writing: flush.Writing, kept: Layout, first: int) -> bool:
        known = self._bare.get((kept, first))
        if known is None:
            if self._mode == "live":
                loading.finish(writing, kept, first, wait=True)
                known = False
            else:
                known = loading.join(writing, kept, first, begin=self._is_worth_loading(first))
            self._bare[kept, first] = known
        return known

    def _is_worth_loading(self, first: int) -> bool:
        if self._mode == "backfill":
            return True
        part = self._expected & LedgerSet([LedgerRange(first, first + self._size - 1)])
        return part.count >= min(_LEAST_BARE, self._size)

    def _finish_passed(self, writing: flush.Writing, ledgers: LedgerSet) -> None:
        """Attach the partitions that the ledgers have left behind."""
        for (kept, first), bare in list(self._bare.items()):
            if bare and first + self._size <= ledgers.last + 1:
                self._finish(writing, kept, first)

    def _finish(self, writing: flush.Writing, kept: Layout, first: int) -> None:
        loading.finish(writing, kept, first, wait=False)
        loading.leave(writing.connection, kept, first)
        self._bare[kept, first] = False

    def _finish_all(self) -> None:
        """Attach what we loaded, and what was left by loaders that died."""
        writing = self._writing()
        with self._server.told("finish loading"):
            for (kept, first), bare in list(self._bare.items()):
                if bare:
                    self._finish(writing, kept, first)
            for kept in self._tables:
                for first in loading.under_way(writing.connection, kept.place):
                    loading.finish(writing, kept, first, wait=False)

    def _note_failure(self, batches: Sequence[LedgerBatch], error: SinkError) -> None:
        if not any(kept.is_entries for kept in self._tables):
            return
        with suppress(psycopg.Error, SinkError):
            flush.note(
                self._connection(),
                *(uuid.uuid4(), span(batches), 0, datetime.now(UTC)),
                status="failed",
                error=str(error),
            )


def _laid_out(tables: Sequence[str]) -> list[Layout]:
    found: dict[str, Layout] = {}
    for asked in tables:
        one = layout(asked)
        if clash := found.get(one.place):
            raise ConfigError(f"{clash.asked} and {asked} are the same table: name it once")
        found[one.place] = one
    return list(found.values())
