"""The sink: buffers batches, and stores them each ledger once, live or as a backfill."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty
from typing import ClassVar, Final

import psycopg
import pyarrow as pa

from stellarrow.errors import ConfigError, LedgersRefused, SinkError, SinkUnavailable, Stopped
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.net.resilience import Guard, Policy
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.postgres import bulk_load, coverage, positions
from stellarrow.sinks.postgres.assets import Assets
from stellarrow.sinks.postgres.catalog import Making, are_there, keep
from stellarrow.sinks.postgres.choices import MODES, PROFILES, check, chosen
from stellarrow.sinks.postgres.ddl import Layout, layouts
from stellarrow.sinks.postgres.lock_waits import LockWaits
from stellarrow.sinks.postgres.migrations import OLDEST, migrate
from stellarrow.sinks.postgres.reading import KeptTable, forget, kept_tables, typed_columns
from stellarrow.sinks.postgres.rows import span
from stellarrow.sinks.postgres.server import Server
from stellarrow.sinks.postgres.writer import Writer, queue_of
from stellarrow.telemetry.metrics import Metrics

_log: Final = logging.getLogger(__name__)
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

    A flush begins when `batch_rows` are there, and goes on in the background; `writers` connections share
    it. In mode `auto`, partitions that will get many of the `expected` ledgers are loaded bare, and attached
    when they are complete or on close; until then their rows are durable, but no query sees them. `live`
    loads none that way, `backfill` all that are new. Of the `profile` lean, a new database has few indexes.
    Opening it asks nothing of the server; coverage reads there, and only write and commit make and change
    tables. A server that is away is waited for as `policy` has it, the first time only where one is given.
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
        profile: str | None = None,
        expected: LedgerSet | Callable[[], LedgerSet] | None = None,
        batch_rows: int = 20_000,
        partition_ledgers: int = PARTITION_LEDGERS,
        writers: int = 2,
        policy: Policy | None = None,
        metrics: Metrics | None = None,
        stop: threading.Event | None = None,
        watch: Callable[[Flush], None] | None = None,
    ) -> None:
        url, self._mode, self._profile = chosen(url, mode, profile)
        check(self._mode, self._profile, tables, where, batch_rows, partition_ledgers, writers)
        self._tables = layouts(tables)
        self._server = Server(url)
        self._lock_waits = LockWaits(self._server)
        self._making = Making(Network.of(network).passphrase, str(where or ""), decoded, transfers)
        self._expected = expected
        self._size = partition_ledgers
        self._batch_rows, self._watch = batch_rows, watch
        self._guard = Guard(self._server.name, policy, metrics=metrics, stop=stop, refusal=SinkUnavailable)
        self._buffer: list[LedgerBatch] = []
        self._buffered_rows = self._buffered_bytes = 0
        self._flushes: deque[tuple[Future[None], list[LedgerBatch]]] = deque()
        self._waits = policy is not None
        self._reached = self._changes = self._closed = self._failed = False
        self._writers = self._made_writers(Assets(Network.of(network)), writers)
        self._free = queue_of(self._writers)
        self._threads = ThreadPoolExecutor(writers, thread_name_prefix="stellarrow-postgres")

    options: ClassVar[Mapping[str, str]] = {
        "mode": f"how rows are loaded: {', '.join(MODES)}",
        "profile": f"which indexes a new database gets: {', '.join(PROFILES)}",
    }

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> PostgresSink:
        """Open a database, as the registry does."""
        return cls(
            url,
            tables,
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
            expected=options.expected,
        )

    @classmethod
    def held(cls, url: str) -> list[KeptTable]:
        """Return the tables of a database, whoever wrote them."""
        return kept_tables(url)

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that contracts' own tables in a database have."""
        return typed_columns(url)

    @classmethod
    def forget(cls, url: str, table: str, ledgers: LedgerSet) -> None:
        """Remove ledgers from one of the tables that `held` returns, so that they are written again."""
        place = next(one.place for one in kept_tables(url) if one.name == table)
        forget(url, place, ledgers)

    @property
    def ledgers_per_part(self) -> int:
        """How many ledgers a partition holds."""
        return self._size

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the server, for those who watch over it."""
        return (self._guard,)

    def health(self) -> Health:
        """Say whether the server would take what this sink writes; nothing is made there."""
        return self._server.health(oldest=OLDEST)

    def write(self, batch: LedgerBatch) -> None:
        for kept in self._tables:
            if kept.asked not in batch.tables:
                raise ConfigError(
                    f"the PostgreSQL sink keeps {kept.asked}, which is not decoded: name it in tables"
                )
        self._reach(changes=True)
        self._buffer.append(batch)
        for rows in (batch.tables[kept.asked] for kept in self._tables):
            self._buffered_rows += rows.num_rows
            self._buffered_bytes += rows.nbytes
        if self._buffered_rows >= self._batch_rows or self._buffered_bytes >= _BUFFER_BYTES:
            self._flush()

    def commit(self) -> None:
        self._reach(changes=True)
        self._flush()
        self._settle(wait=True)

    def coverage(self) -> LedgerSet:
        self._reach()
        with self._borrowed() as writer:
            return self._guard.call("coverage", lambda: self._covered(writer))

    def position(self, stream: str) -> str | None:
        """Return the last place kept for a stream that is read into these tables."""
        self._reach()
        with self._borrowed() as writer, self._server.translate_errors("read from"):
            return positions.read(writer.connection(), stream)

    def keep_position(self, stream: str, place: str, ledger: int) -> None:
        """Keep a place, what came before it having been committed."""
        self._reach(changes=True)
        with self._borrowed() as writer, self._lock_waits.told(lambda: writer.backend):
            self._guard.call("position", lambda: self._keep_position(writer, stream, place, ledger))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._buffer.clear()
        wait(future for future, _ in self._flushes)
        try:
            if self._changes and not self._failed:
                self._finish()
        finally:
            self._threads.shutdown()
            for writer in self._writers:
                writer.close()

    def _keep_position(self, writer: Writer, stream: str, place: str, ledger: int) -> None:
        with self._server.translate_errors("write to"):
            positions.keep(writer.writing().connection, stream, place, ledger)

    def _finish(self) -> None:
        """Attach what is loaded, side by side, or leave it to whoever comes next: it is durable."""
        for writer in self._writers:
            with suppress(SinkUnavailable):  # a connection that broke has left
                writer.leave()
        with suppress(SinkUnavailable, Stopped):
            for _ in self._threads.map(self._finish_one, self._left()):
                pass

    def _left(self) -> list[tuple[Layout, int]]:
        with self._borrowed() as writer:
            return self._guard.call("finish", lambda: writer.left() if self._is_made(writer) else [])

    def _finish_one(self, place: tuple[Layout, int]) -> None:
        with self._borrowed() as writer, self._lock_waits.told(lambda: writer.backend):
            self._guard.call("finish", lambda: writer.finish(*place))

    def _made_writers(self, assets: Assets, count: int) -> list[Writer]:
        return [
            Writer(
                self._server,
                self._tables,
                assets,
                set_up=self._set_up,
                is_bare=self._is_worth_loading,
                joins=lambda: self._mode != "live",
                spare=self._spare,
            )
            for _ in range(count)
        ]

    def _reach(self, *, changes: bool = False) -> None:
        """Connect the first time, and see what is between; a wrong address is told at once."""
        if not self._reached:
            if self._waits:
                self._guard.call("open", self._inspect)
            else:
                self._inspect()
            self._reached = True
        self._changes |= changes

    def _inspect(self) -> None:
        self._mode = self._server.agreed_mode(self._mode)
        with self._borrowed() as writer:
            self._is_made(writer)

    def _is_made(self, writer: Writer) -> bool:
        """Tell whether the tables are there; refuse those made otherwise."""
        connection = writer.connection()
        try:
            with self._server.translate_errors("read from"):
                return writer.is_set_up or are_there(connection, self._tables, self._making)
        except SinkError:
            writer.close()
            raise

    def _set_up(self, connection: psycopg.Connection) -> int:
        migrate(connection)
        self._size = keep(connection, self._tables, self._making, size=self._size, profile=self._profile)
        return self._size

    def _is_worth_loading(self, first: int) -> bool:
        if self._mode == "backfill":
            return True
        part = self._bounded() & LedgerSet([LedgerRange(first, first + self._size - 1)])
        return part.count >= min(_LEAST_BARE, self._size)

    def _bounded(self) -> LedgerSet:
        """Return what is expected and has an end: what follows the chain is wanted ledger by ledger."""
        if callable(self._expected):
            self._expected = self._expected()
        return LedgerSet(part for part in self._expected or () if part.last is not None)

    def _spare(self) -> tuple[psycopg.Connection, Callable[[], None]] | None:
        """Lend the connection of a writer that has nothing to do."""
        with suppress(Empty):
            writer = self._free.get_nowait()
            with suppress(SinkError):
                return writer.connection(), lambda: self._free.put(writer)
            self._free.put(writer)
        return None

    @contextmanager
    def _borrowed(self) -> Iterator[Writer]:
        writer = self._free.get()
        try:
            yield writer
        finally:
            self._free.put(writer)

    def _covered(self, writer: Writer) -> LedgerSet:
        places = [kept.place for kept in self._tables]
        if not self._is_made(writer):
            return LedgerSet()
        connection = writer.connection()
        with self._server.translate_errors("read from"):
            # First what is being loaded: what is attached in between is then seen twice, not never.
            loaded = bulk_load.durable(connection, places)
            covered = coverage.read(connection, places)
        first, *others = (covered[place] | loaded[place] for place in places)
        for other in others:
            first &= other
        return first

    def _flush(self) -> None:
        """Hand what is buffered to the next writer that is free."""
        self._settle(wait=False)
        if not self._buffer:
            return
        batches, self._buffer = self._buffer, []
        self._buffered_rows = self._buffered_bytes = 0
        writer = self._free.get()
        self._flushes.append((self._threads.submit(self._store, writer, batches), batches))

    def _settle(self, *, wait: bool) -> None:
        """See how flushes ended; what failed is buffered again, and its error raised."""
        failed: BaseException | None = None
        while self._flushes and (wait or self._flushes[0][0].done()):
            future, batches = self._flushes.popleft()
            if error := future.exception():
                self._buffer = batches + self._buffer
                failed = failed or error
        if isinstance(failed, LedgersRefused):
            self._buffer.clear()  # they are written again one by one, without the bad one
            self._buffered_rows = self._buffered_bytes = 0
        elif failed:
            self._failed = True
        if failed:
            raise failed

    def _store(self, writer: Writer, batches: list[LedgerBatch]) -> None:
        began = time.monotonic()
        try:
            with self._lock_waits.told(lambda: writer.backend):
                rows = self._guard.call("flush", lambda: writer.store(batches))
        except SinkError as error:
            if any(kept.is_entries for kept in self._tables):
                writer.note_failure(batches, error)
            raise
        finally:
            pa.default_memory_pool().release_unused()  # or every thread keeps what its largest flush took
            self._free.put(writer)
        if self._watch:
            self._watch(Flush(span(batches), rows, time.monotonic() - began))
        batches.clear()  # or they would be held until the next flush
