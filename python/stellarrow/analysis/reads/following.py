"""Newer ledgers for the tables in memory: out of a processor's stream, or decoded here out of a source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, Protocol

import pyarrow as pa

from stellarrow.analysis.reads.reading import Tables
from stellarrow.core.options import DecodeOptions
from stellarrow.errors import SourceError, StellarrowError, Stopped, Unavailable
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.net.resilience import Guard, Policy
from stellarrow.pipeline import loop
from stellarrow.protocols import Guarded, ServerState, Source
from stellarrow.telemetry import tracing
from stellarrow.telemetry.metrics import Metrics

EARLIEST: Final = "earliest"
_PAUSE_SECONDS: Final = 1.0  # before an ended stream is asked for again
_RETRY_SECONDS: Final = 5.0  # before a source that failed is read again
_log: Final = logging.getLogger(__name__)


class Arrived(Protocol):
    """Rows of consecutive ledgers; not `complete`, some of the last ledger are still to come."""

    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def rows(self) -> pa.RecordBatch: ...
    @property
    def resume(self) -> str: ...
    @property
    def complete(self) -> bool: ...
    @property
    def traces(self) -> tuple[str, ...]: ...


class Stream(Protocol):
    """One table as a processor puts it out."""

    name: str

    def read(self, since: str) -> Iterator[Arrived]:
        """Yield what comes after a place, until there is no more for now; close() ends it."""

    def close(self) -> None:
        """End the read that is under way, in any thread."""


class Follower(Protocol):
    """Brings newer ledgers into memory, on threads of its own."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """Return once nothing more is brought."""

    @property
    def trouble(self) -> str:
        """What keeps newer ledgers from coming, empty where nothing does."""

    @property
    def guards(self) -> Sequence[ServerState]:
        """The servers that are called."""

    def to_dict(self) -> Mapping[str, Any]:
        """Say what is followed, for people."""


class ProcessorFollower:
    """Every table on a thread of its own, each from where its stream was left."""

    def __init__(self, tables: Tables, streams: Mapping[str, Stream], *, name: str, metrics: Metrics) -> None:
        self._name = name
        self._threads = [_TableThread(tables, *one, metrics) for one in streams.items()]

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def close(self) -> None:
        for one in self._threads:
            one.stop()
        for one in self._threads:
            one.join()

    @property
    def trouble(self) -> str:
        return next((one.trouble for one in self._threads if one.trouble), "")

    @property
    def guards(self) -> Sequence[ServerState]:
        return [one.guard for one in self._threads]

    def to_dict(self) -> Mapping[str, Any]:
        return {"processor": self._name, "trouble": self.trouble or None}


class _TableThread:
    """One table's stream into memory."""

    def __init__(self, tables: Tables, table: str, stream: Stream, metrics: Metrics) -> None:
        self.trouble = ""
        self._stop = threading.Event()
        self._metrics = metrics
        policy = Policy(attempts=None, failures_to_open=1_000)
        self.guard = Guard(stream.name, policy, metrics=metrics, stop=self._stop)
        self._tables = tables
        self._table = table
        self._stream = stream
        self._since = EARLIEST
        self._parts: list[Arrived] = []
        self._thread = threading.Thread(target=self._run, name=f"stellarrow-{table}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._stream.close()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(_RETRY_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.guard.call("stream", self._follow)
            except Stopped:
                return
            except StellarrowError as error:
                self.trouble = str(error)
                _log.error("%s: %s; trying again", self._table, error)
                self._since = EARLIEST  # what is here is not taken twice
                self._stop.wait(_RETRY_SECONDS)
            self._stop.wait(_PAUSE_SECONDS)  # the sessions have ended, or the connection: others may begin

    def _follow(self) -> None:
        """Take batches from one connection until it ends; raise if it brought nothing, so that we wait."""
        self._parts.clear()
        has_come = False
        try:
            for arrived in self._stream.read(self._since):
                has_come = True
                self.trouble = ""
                self._take(arrived)
        except SourceError as error:
            if self._stop.is_set():
                return
            if not has_come or not isinstance(error, Unavailable):
                self.trouble = str(error)
                raise

    def _take(self, arrived: Arrived) -> None:
        self._parts.append(arrived)
        if not arrived.complete:
            return
        rows = pa.concat_batches([part.rows for part in self._parts])
        traces = [trace for part in self._parts for trace in part.traces]
        ledgers = LedgerRange(self._parts[0].first, arrived.last)
        self._parts.clear()
        self._tables.hot.wait_for_room(self._table, self._stop)
        with tracing.span("show", traces[-1] if traces else "", table=self._table):
            self._tables.add(self._table, ledgers, rows)
        self._metrics.received(ledgers.count, rows.nbytes)
        if rows.num_rows:
            self._metrics.lags_behind(rows.column("closed_at")[-1].as_py().timestamp())
        self._since = arrived.resume


class SourceFollower:
    """Decodes a source's ledgers, from where what is here ends."""

    def __init__(
        self,
        tables: Tables,
        open_source: Callable[[], Source],
        *,
        network: Network,
        ledgers: LedgerSet | None,
        limits: loop.Limits,
        name: str,
        metrics: Metrics,
    ) -> None:
        self.trouble = ""
        self._tables = tables
        self._open_source = open_source
        self._network = network
        self._ledgers = ledgers
        self._limits = limits
        self._name = name
        self._metrics = metrics
        self._source: Source | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stellarrow-analytics-source", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if source := self._source:
            source.close()
        if self._thread.ident is not None:
            self._thread.join(_RETRY_SECONDS)

    @property
    def guards(self) -> Sequence[ServerState]:
        source = self._source
        return source.guards if isinstance(source, Guarded) else ()

    def to_dict(self) -> Mapping[str, Any]:
        return {"source": self._name, "trouble": self.trouble or None}

    def write(self, batch: LedgerBatch) -> None:
        """Take a batch, as a sink does; wait while memory is full of what is still to be written."""
        for table in batch.tables:
            self._tables.hot.wait_for_room(table, self._stop)
        self._tables.add_all(LedgerRange(batch.first, batch.last), batch.tables)
        self._metrics.lags_behind(batch.run.last_closed_at)
        self.trouble = ""

    def commit(self) -> None:
        """Do nothing: what is in memory can be had from the source again."""

    def coverage(self) -> LedgerSet:
        """Return what every table has, in memory or stored."""
        first, *rest = (self._tables.snapshot(name).coverage for name in self._tables.hot.tables)
        for one in rest:
            first &= one
        return first

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with closing(self._open_source()) as source:
                    self._source = source
                    self._read(source)
                return
            except StellarrowError as error:
                self.trouble = str(error)
                level = logging.WARNING if isinstance(error, Unavailable) else logging.ERROR
                _log.log(level, "%s: %s; trying again", self._name, error)
            self._stop.wait(_RETRY_SECONDS)

    def _wanted(self, source: Source) -> LedgerSet:
        """Return what is asked for; where nothing is, all the source has and what follows."""
        if self._ledgers is not None:
            return self._ledgers
        *closed, newest = source.available() or [LedgerRange(1)]
        return LedgerSet([*closed, LedgerRange(newest.first)])

    def _read(self, source: Source) -> None:
        loop.run(
            source,
            tables=sorted(self._tables.hot.tables),
            sinks=[self],
            options=DecodeOptions(network=self._network),
            limits=self._limits,
            ledgers=self._wanted(source),
            stop=self._stop,
        )
