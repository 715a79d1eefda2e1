"""A processor's stream into a sink: taken up after what is durable, committed in time, each ledger once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Final, Protocol

import pyarrow as pa

from stellarrow.consumer.stats import ConsumerMetrics, Stats
from stellarrow.errors import SinkError, SourceError, SourceUnavailable, StellarrowError, Stopped
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerRun, LedgerSet
from stellarrow.net.resilience import Guard
from stellarrow.pipeline.traced import PendingTraces
from stellarrow.protocols import Sink
from stellarrow.telemetry import tracing
from stellarrow.telemetry.gaps import Gap

EARLIEST: Final = "earliest"
FORMAT: Final = "postgresql"

_AHEAD: Final = 2  # batches that wait for the sink; the server's spool holds the rest
_POLL_SECONDS: Final = 0.2  # seconds between looks at the clock
_PAUSE: Final = 1.0  # seconds before a stream that ended is asked for more
_log: Final = logging.getLogger(__name__)


class Batch(Protocol):
    """Rows of ledgers, and the place to go on from after them; not `complete`, of the last more will come."""

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
    """Where batches come from; a place it does not know is a SourceError that is not Unavailable."""

    @property
    def name(self) -> str: ...

    def read(self, since: str, ledgers: LedgerRange | None = None) -> Iterator[Batch]:
        """Yield what comes after a place in the sessions' output, or the ledgers of a range."""

    def close(self) -> None:
        """End the read that is under way."""


class Positioned(Sink, Protocol):
    """A sink that remembers where a stream was, durably."""

    def position(self, stream: str) -> str | None:
        """Return the last place kept for a stream."""

    def keep_position(self, stream: str, place: str, ledger: int) -> None:
        """Keep a place; what came before it is durable already."""


class Consumer:
    """Bring one table's stream into a sink until told to stop.

    A ledger is at most `flush_interval` seconds from being durable. The place to go on from is kept after the
    rows: a crash in between repeats ledgers, which the sink drops as covered. Of a range, what the sink lacks
    is asked for; the end of a bounded one ends the work.
    """

    def __init__(
        self,
        stream: Stream,
        sink: Positioned,
        *,
        table: str,
        flush_interval: float,
        guard: Guard,
        stop: threading.Event,
        metrics: ConsumerMetrics,
        stats: Stats,
        ledgers: LedgerRange | None = None,
        gap: Gap | None = None,
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._table = table
        self._key = f"{table} from {stream.name}"
        self._interval = flush_interval
        self._guard = guard
        self._stop = stop
        self._metrics = metrics
        self.stats = stats
        self._ledgers = ledgers
        self._gap = gap
        self._since = EARLIEST
        self._parts: list[Batch] = []
        self._last: Batch | None = None
        self._due: float | None = None
        self._traces = PendingTraces()

    def run(self) -> None:
        """Return when told to stop or at the range's end, everything that came being durable."""
        if not self._ledgers:
            self._since = self._sink.position(self._key) or EARLIEST
        try:
            while not self._stop.is_set() and self._is_more_wanted():
                self._guard.call("stream", self._follow)
                self._stop.wait(_PAUSE)  # the sessions have ended, or the connection: others may begin
        except Stopped:
            pass
        finally:
            self._stream.close()

    def _is_more_wanted(self) -> bool:
        """Narrow the range, if there is one, to what the sink lacks."""
        if self._ledgers is None:
            return True
        lacking = LedgerSet([self._ledgers]) - self._sink.coverage()
        if lacking:
            self._ledgers = LedgerRange(lacking.first, self._ledgers.last)
        return bool(lacking)

    def _follow(self) -> None:
        """Take batches from one connection until it ends; raise if it brought nothing, so that we wait."""
        arrived: Queue[Batch | StellarrowError | None] = Queue(_AHEAD)
        ended = threading.Event()
        self._last = None
        self._parts.clear()
        self._traces.drop()
        threading.Thread(target=self._receive, args=(arrived, ended), daemon=True).start()
        try:
            for batch in self._taken(arrived):
                self._write(batch)
            self._commit()
        except SourceError as error:
            self._commit()
            self._broken(error)
        except SinkError as error:
            self._failed(error)
            self._metrics.common.export_errors.labels(FORMAT, type(error).__name__).inc()
            raise
        finally:
            ended.set()

    def _broken(self, error: SourceError) -> None:
        self._failed(error)
        if isinstance(error, SourceUnavailable):
            self.stats.reconnections += 1
            self._metrics.common.reconnections.inc()
            if self._last is None:
                raise error
        elif self._since == EARLIEST:
            raise error
        else:
            _log.warning("%s; going on from its beginning: what is here is not taken twice", error)
            self._since = EARLIEST

    def _receive(self, arrived: Queue[Batch | StellarrowError | None], ended: threading.Event) -> None:
        """Read in a thread of its own, for reading blocks while nothing comes."""
        last: Batch | StellarrowError | None = None
        try:
            for batch in self._stream.read(self._since, self._ledgers):
                if not _put(arrived, batch, ended):
                    return
        except StellarrowError as error:
            last = error
        _put(arrived, last, ended)

    def _taken(self, arrived: Queue[Batch | StellarrowError | None]) -> Iterator[Batch]:
        while not self._stop.is_set():
            try:
                one = arrived.get(timeout=_POLL_SECONDS)
            except Empty:
                self._commit_if_due()
                continue
            if one is None:
                return
            if isinstance(one, StellarrowError):
                raise one
            yield one
            self._commit_if_due()

    def _write(self, batch: Batch) -> None:
        self._parts.append(batch)
        self.stats.records_received += batch.rows.num_rows
        self._metrics.received.inc(batch.rows.num_rows)
        if not batch.complete:
            return  # half a ledger would count as all of it
        rows = pa.Table.from_batches([part.rows for part in self._parts]).combine_chunks().to_batches()
        first = self._parts[0].first
        traces = [trace for part in self._parts for trace in part.traces]
        self._parts.clear()
        run = LedgerRun(batch.last - first + 1, first, batch.last, 0, 0, "", "", 0, 0)
        whole = rows[0] if rows else batch.rows
        self._metrics.common.received(run.count, whole.nbytes)
        if whole.num_rows:
            self._metrics.common.lags_behind(whole["closed_at"][-1].as_py().timestamp())
        self._traces.add_all(LedgerRange(first, batch.last), traces)
        with tracing.span("write", traces[-1] if traces else "", table=self._table):
            self._sink.write(LedgerBatch(first, batch.last, {self._table: whole}, run))
        self._last = batch
        self._due = self._due or time.monotonic() + self._interval
        self.stats.last_ledger = batch.last

    def _commit_if_due(self) -> None:
        if self._due is not None and time.monotonic() >= self._due:
            self._commit()

    def _commit(self) -> None:
        if self._last is None or self._due is None:
            return
        with self._traces.committing():
            self._sink.commit()
        self._due = None
        if not self._ledgers:
            self._sink.keep_position(self._key, self._last.resume, self._last.last)
            self._since = self._last.resume
        self.stats.committed_ledger = self._last.last
        if self._gap:
            self._gap.look(self._sink.coverage)

    def _failed(self, error: StellarrowError) -> None:
        self.stats.errors += 1
        self.stats.last_error = str(error)
        self._metrics.errors.inc()


def _put(
    arrived: Queue[Batch | StellarrowError | None],
    one: Batch | StellarrowError | None,
    ended: threading.Event,
) -> bool:
    """Wait for room, unless nobody takes any more."""
    while not ended.is_set():
        try:
            arrived.put(one, timeout=_POLL_SECONDS)
        except Full:
            continue
        return True
    return False
