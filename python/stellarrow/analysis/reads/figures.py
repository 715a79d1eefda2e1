"""Figures over time windows of the tables that are answered: counted again from their rows after a restart.

All tables are counted up to the same ledger, in order, on a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.windows import NAMES, TABLES, Analytics, counted_columns
from stellarrow.core.rows import no_rows
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.sinks.files.departures import Absence

_LEDGERS: Final = 256  # counted at once
_RETRY_SECONDS: Final = 5.0
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    """Figures, and which ledgers they include."""

    analytics: Analytics
    last: int = 0
    closed_at: int = 0
    ledgers: LedgerSet = field(default_factory=LedgerSet)


class KeptFigures:
    """Counts what the tables have, and what comes."""

    def __init__(self, tables: Tables, *, most_bytes: int) -> None:
        self.tables = tuple(name for name in TABLES if name in tables.names)
        self._tables = tables
        self._most_bytes = most_bytes
        self._count = _Count(Analytics(most_bytes=most_bytes))
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._unlisten = tables.listen(self._changed.set)
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._thread = threading.Thread(target=self._run, name="stellarrow-figures", daemon=True)

    @property
    def analytics(self) -> Analytics:
        """The figures as they are now; others take their place when ledgers left that they included."""
        return self._count.analytics

    def gaps(self, name: str) -> tuple[Absence, ...]:
        """Return which ledgers left that figures of a name would include."""
        snapshot = self._tables.snapshot(NAMES[name].table)
        return snapshot.absences(snapshot.gone)

    def start(self) -> None:
        self._changed.set()
        self._thread.start()

    def close(self) -> None:
        self._unlisten()
        self._stop.set()
        self._changed.set()
        if self._thread.ident is not None:
            self._thread.join(_RETRY_SECONDS)

    def listen(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell`, on any thread, whenever more is counted; return what ends that."""
        self._listeners = (*self._listeners, tell)

        def end() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not tell)

        return end

    def _run(self) -> None:
        while self.tables:
            self._changed.wait()
            self._changed.clear()
            if self._stop.is_set():
                return
            try:
                self._count_new()
                if any(self._tables.snapshot(name).gone & self._count.ledgers for name in self.tables):
                    self._count_anew()
            except StellarrowError as error:
                _log.error("figures end with ledger %d for now: %s", self._count.last, error)
                self._stop.wait(_RETRY_SECONDS)
                self._changed.set()

    def _count_new(self) -> None:
        for part in self._due(self._count):
            if self._stop.is_set():
                return
            self._feed(self._count, part)
            self._tell()

    def _count_anew(self) -> None:
        """Count what is here still, as a restart would; what comes meanwhile is counted as ever."""
        _log.info("ledgers left that figures included: they are counted again from what is here")
        fresh = _Count(Analytics(most_bytes=self._most_bytes))
        while due := [*self._due(fresh)]:
            for part in due:
                if self._stop.is_set():
                    return
                self._feed(fresh, part)
                self._count_new()
        self._count = fresh
        self._changed.set()  # what left meanwhile is to be looked at, too
        self._tell()

    def _tell(self) -> None:
        for tell in self._listeners:
            tell()

    def _feed(self, count: _Count, part: LedgerRange) -> None:
        snapshots = {name: self._tables.snapshot(name) for name in self.tables}
        if any(LedgerSet([part]) - one.coverage for one in snapshots.values()):
            raise Unavailable(f"some of ledgers {part} left while they were counted")
        rows = {name: _rows(one, part) for name, one in snapshots.items()}
        closings = [pc.max(one.column("closed_at")).as_py() for one in rows.values() if one.num_rows]
        closed_at = max([count.closed_at, *(int(one.timestamp()) for one in closings)])
        count.analytics.add(rows, part, closed_at)
        count.closed_at, count.last = closed_at, part.end
        count.ledgers |= LedgerSet([part])

    def _due(self, count: _Count) -> Iterator[LedgerRange]:
        """Yield the ledgers that every table has and that were not counted, some at a time."""
        due = LedgerSet([LedgerRange(count.last + 1, LAST_POSSIBLE)])
        for name in self.tables:
            due &= self._tables.snapshot(name).coverage
        for part in due:
            for first in range(part.first, part.end + 1, _LEDGERS):
                yield LedgerRange(first, min(part.end, first + _LEDGERS - 1))


def _rows(snapshot: Snapshot, part: LedgerRange) -> pa.RecordBatch:
    columns: tuple[Any, ...] = tuple(counted_columns(snapshot.name, snapshot.schema.names))
    schema = snapshot.answer_schema(columns)
    found = [*snapshot.read(Question(table=snapshot.name, columns=columns), part)]
    return pa.concat_batches(found) if found else no_rows(schema)


def plain_numbers(found: pa.Table) -> pa.Table:
    """Write counts as numbers: they are far below what a number of JSON holds exactly."""
    columns: list[Any] = [
        column.cast(pa.float64()) if column.type in (pa.uint64(), pa.int64()) else column
        for column in found.columns
    ]
    return pa.Table.from_arrays(columns, names=found.schema.names)
