"""The tables of the analytics service into sinks of files, as PARQUET_PATH, JSON_PATH and CSV_PATH name them.

Each ledger is written once, from memory or from what is stored; what a sink has already is left out. Ledgers
stay in memory until they are durable here; what the sink lacks and nobody has any more is told.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pyarrow as pa

from stellarrow import registry
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.core.rows import no_rows
from stellarrow.core.tables import schema
from stellarrow.errors import ConfigError, StellarrowError, Unavailable
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerRun, LedgerSet
from stellarrow.net.redaction import redacted_url
from stellarrow.protocols import Filing, Sink
from stellarrow.telemetry.health import Check
from stellarrow.telemetry.metrics import Metrics

_LEDGERS: Final = 64  # written at once
_COMMIT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 5.0
_log: Final = logging.getLogger("stellarrow.export")


class TableFeed:
    """One sink, fed on a thread of its own; made, it has looked whether the place is one of these tables."""

    def __init__(self, tables: Tables, place: str, metrics: Metrics) -> None:
        if tables.network is None:
            raise ConfigError("files are written with their network, which is not set: give --network")
        self._tables = tables
        self._place = place
        self._name = redacted_url(place)
        self._format = place.partition(":")[0]
        self._metrics = metrics
        self._options = registry.SinkOptions(network=tables.network)
        self._sink: Sink | None = self._opened()
        self._written = self._durable = self._held_before = self._sink.coverage()
        self._seen = LedgerSet()
        self._missing = LedgerSet()
        self._due_at: float | None = None  # when what was written must be durable
        self._counted = 0  # files of this sink
        self._trouble = ""
        self._stop = threading.Event()
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stellarrow-feed", daemon=True)
        self._unlisten = tables.listen(self._changed.set)
        self._unhold = tables.hot.hold(lambda: self._durable)

    def start(self) -> None:
        self._changed.set()
        self._thread.start()

    def close(self) -> None:
        """Make durable what was written, and end; twice is harmless."""
        self._unlisten()
        self._stop.set()
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)
        self._unhold()
        self._release()

    def check(self) -> Check:
        """Say how it is, for /health."""
        last = self._written.last if self._written else 0
        missing = self._missing
        trouble = self._trouble or (_sentence(missing) if missing else "")
        metrics = {"last_ledger": last, "missing_ledgers": missing.count}
        return Check(self._name, not trouble, trouble, metrics, essential=False)

    def _opened(self) -> Sink:
        return registry.open_sink(self._place, list(self._tables.names), self._options)

    def _run(self) -> None:
        while True:
            try:
                self._feed()
                self._trouble = ""
            except StellarrowError as error:
                self._note(error)
                if not isinstance(error, Unavailable):
                    self._unhold()
                    return
                self._stop.wait(_RETRY_SECONDS)
            if self._stop.is_set():
                with suppress(StellarrowError):
                    self._commit()
                return
            self._changed.wait(_LOOK_SECONDS)
            self._changed.clear()

    def _note(self, error: StellarrowError) -> None:
        self._trouble = str(error)
        self._metrics.export_errors.labels(self._format, type(error).__name__).inc()
        remedy = "trying again" if isinstance(error, Unavailable) else "restart to continue"
        _log.error("%s: %s; %s", self._name, error, remedy)
        self._release()

    def _release(self) -> None:
        """Close the sink: what it held that was not durable is gone, and written again."""
        sink, self._sink = self._sink, None
        self._due_at, self._counted = None, 0
        with suppress(StellarrowError):
            if sink:
                sink.close()

    def _feed(self) -> None:
        if self._sink is None:
            self._sink = self._opened()
            self._written = self._durable = self._sink.coverage()
        for part in self._due():
            if self._stop.is_set():
                return
            self._write(self._sink, part)
            if self._due_at is not None and time.monotonic() >= self._due_at:
                self._commit()
        if self._due_at is not None and (time.monotonic() >= self._due_at or self._tables.hot.is_full):
            self._commit()

    def _due(self) -> Iterator[LedgerRange]:
        """Yield the ledgers that every table has and the sink lacks, some at a time."""
        expected = self._expected()
        coverage = self._coverage()  # after what is expected: what comes meanwhile is not missing
        self._tell_missing(expected - coverage - self._written)
        for part in coverage - self._written:
            for first in range(part.first, part.end + 1, _LEDGERS):
                yield LedgerRange(first, min(part.end, first + _LEDGERS - 1))

    def _coverage(self) -> LedgerSet:
        first, *rest = (self._tables.snapshot(name).coverage for name in self._tables.names)
        for one in rest:
            first &= one
        return first

    def _tell_missing(self, missing: LedgerSet) -> None:
        if new := missing - self._missing:
            _log.error("%s: %s", self._name, _sentence(new))
        self._missing = missing
        self._metrics.missing_ledgers.labels(self._name, "").set(missing.count)

    def _expected(self) -> LedgerSet:
        """Return what the sink is to have and reading no longer brings: every table has passed it."""
        hot = [self._tables.hot.picture(name).coverage for name in self._tables.hot.tables]
        self._seen |= self._tables.hot.came
        if not hot:
            self._seen |= self._coverage()
            return self._seen
        passed = min(one.last if one else 0 for one in hot)
        return (self._seen | self._before()) & LedgerSet([LedgerRange(0, passed)])

    def _before(self) -> LedgerSet:
        """Return what was there at the start and its holes, up to the first ledger that came behind."""
        held = self._held_before
        if not held:
            return held
        behind = self._seen - LedgerSet([LedgerRange(0, held.last)])
        return LedgerSet([LedgerRange(held.first, behind.first if behind else held.last)])

    def _write(self, sink: Sink, part: LedgerRange) -> None:
        snapshots = {name: self._tables.snapshot(name) for name in self._tables.names}
        if any(LedgerSet([part]) - one.coverage for one in snapshots.values()):
            return  # it is no longer here, which the next look tells
        rows = {}
        for name, snapshot in snapshots.items():
            kept = schema(name)
            question = Question(table=name, columns=tuple(kept.names))
            found = [one.select(kept.names) for one in snapshot.read(question, part)]
            rows[name] = (
                pa.Table.from_batches(found).combine_chunks().to_batches()[0] if found else no_rows(kept)
            )
        count = part.end - part.first + 1
        run = LedgerRun(count, part.first, part.end, 0, 0, "", "", 0, 0)
        sink.write(LedgerBatch(part.first, part.end, rows, run))
        self._written |= LedgerSet([part])
        if self._due_at is None:
            self._due_at = time.monotonic() + _COMMIT_SECONDS

    def _commit(self) -> None:
        if self._sink and self._due_at is not None:
            began = time.monotonic()
            self._sink.commit()
            self._count_files(self._sink)
            self._durable = self._written
            self._due_at = None
            self._tables.make_room()
            self._metrics.export_duration.labels(self._format).observe(time.monotonic() - began)

    def _count_files(self, sink: Sink) -> None:
        if isinstance(sink, Filing):
            self._metrics.files_written.labels(self._format).inc(sink.files_written - self._counted)
            self._counted = sink.files_written


def _sentence(missing: LedgerSet) -> str:
    return f"ledgers {missing} are neither there nor in memory any more: extract them into it"
