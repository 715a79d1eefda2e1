"""Figures over time windows of the tables that are answered: counted again from their rows after a restart.

Each table is counted by itself, every ledger that is here and in order, on a thread that all share. Tables
that come from memory are counted up to the same ledger.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.reading import Question, Snapshot, Tables
from stellarrow.analysis.request import FiguresRequest
from stellarrow.analysis.windows import NAMES, TABLES, Analytics, Answer, counted_columns
from stellarrow.core.rows import no_rows
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.sinks.files.departures import UNCOUNTED, Absence
from stellarrow.sinks.files.lacking import absent

_LEDGERS: Final = 256  # counted at once
_RETRY_SECONDS: Final = 5.0
_PACE_SECONDS: Final = 0.05  # between two counts: what comes faster than that is counted together
_SHARE: Final = 10  # counting again what older ledgers came of takes at most one part in so many of the time
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    """Figures of a table, and which ledgers they include."""

    table: str
    analytics: Analytics
    last: int = 0
    closed_at: int = 0
    ledgers: LedgerSet = field(default_factory=LedgerSet)
    counted: int = 1  # how often it was counted from the beginning
    has_caught_up: bool = False  # whether what was here when it began is counted
    rests_until: float = 0.0  # by time.monotonic(): when it may be counted again for older ledgers that came


class KeptFigures:
    """Counts what the tables have, and what comes."""

    def __init__(self, tables: Tables, *, most_bytes: int) -> None:
        self.tables = tuple(name for name in TABLES if name in tables.names)
        self._tables = tables
        self._most_bytes = most_bytes
        self._counts = {name: self._begun(name) for name in self.tables}
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._unlisten = tables.listen(self._changed.set)
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._thread = threading.Thread(target=self._run, name="stellarrow-figures", daemon=True)

    def of(self, name: str) -> Analytics:
        """Return the figures of a name as they are now; others take their place when ledgers left."""
        return self._counts[NAMES[name].table].analytics

    def times_counted(self, name: str) -> int:
        """Return how often figures were counted from the beginning: again where ledgers left."""
        return self._counts[NAMES[name].table].counted

    def answered(self, request: FiguresRequest) -> tuple[Answer, tuple[Absence, ...]]:
        """Return figures, and which ledgers they lack: that left, are missing, or are not counted yet."""
        count = self._counts[NAMES[request.name].table]
        answer = request.answer(count.analytics)
        snapshot = self._tables.snapshot(count.table)
        passed = LedgerSet([LedgerRange(0, answer.ledgers.end if answer.ledgers else 0)])
        counted = count.ledgers & passed  # and not what is being counted now
        late = (snapshot.coverage & passed) - counted
        behind = snapshot.coverage - passed
        if behind and (not count.has_caught_up or behind.count > _LEDGERS):  # a few are about to be counted
            late |= behind
        gaps = [
            *snapshot.absences(snapshot.gone - counted),
            *absent(count.table, snapshot.missing(LedgerRange(0)) - counted),
            *(Absence(count.table, one.first, one.end, UNCOUNTED) for one in late),
        ]
        return answer, tuple(sorted(gaps, key=lambda one: one.first))

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
            self._changed.wait(self._pause())
            self._changed.clear()
            if self._stop.is_set():
                return
            try:
                self._count_new()
                for count in [*self._counts.values()]:
                    if self._is_due_again(count):
                        self._count_anew(count.table)
                self._stop.wait(_PACE_SECONDS)
            except StellarrowError as error:
                lasts = ", ".join(f"{name} {one.last}" for name, one in self._counts.items())
                # What left between a look and a read is there again, or told, a moment later.
                level = logging.INFO if isinstance(error, Unavailable) else logging.ERROR
                _log.log(level, "figures end for now with the ledgers %s: %s", lasts, error)
                self._stop.wait(_RETRY_SECONDS)
                self._changed.set()

    def _begun(self, table: str) -> _Count:
        return _Count(table, Analytics(most_bytes=self._most_bytes))

    def _is_due_again(self, count: _Count) -> bool:
        """Tell whether a table is to be counted again: ledgers left, or older ones came and none is lost."""
        snapshot = self._tables.snapshot(count.table)
        if snapshot.gone & count.ledgers:
            return True
        if count.ledgers - snapshot.coverage or time.monotonic() < count.rests_until:
            return False
        return bool((snapshot.coverage & LedgerSet([LedgerRange(0, count.last)])) - count.ledgers)

    def _pause(self) -> float | None:
        """Return after how many seconds there is something to look at though nothing changes."""
        resting = [one for one in self._counts.values() if one.rests_until > time.monotonic()]
        return min((one.rests_until - time.monotonic() for one in resting), default=None)

    def _count_new(self) -> None:
        for count in [*self._counts.values()]:
            for part, is_last in self._due(count):
                if self._stop.is_set():
                    return
                self._feed(count, part, is_last=is_last)
                self._tell()
            count.has_caught_up = True

    def _count_anew(self, table: str) -> None:
        """Count what is here now, as a restart would; what comes meanwhile is counted as ever."""
        _log.info("ledgers of %s left, or older ones came: its figures are counted again", table)
        fresh, began = self._begun(table), time.monotonic()
        while due := [*self._due(fresh)]:
            for part, is_last in due:
                if self._stop.is_set():
                    return
                self._feed(fresh, part, is_last=is_last)
                self._count_new()
        now = time.monotonic()
        fresh.has_caught_up = True
        fresh.counted = self._counts[table].counted + 1
        fresh.rests_until = now + (_SHARE - 1) * (now - began)
        self._counts[table] = fresh
        self._changed.set()  # what left or came meanwhile is to be looked at, too
        self._tell()

    def _tell(self) -> None:
        for tell in self._listeners:
            tell()

    def _feed(self, count: _Count, part: LedgerRange, *, is_last: bool) -> None:
        snapshot = self._tables.snapshot(count.table)
        if LedgerSet([part]) - snapshot.coverage:
            raise Unavailable(f"some of ledgers {part} of {count.table} left while they were counted")
        rows = _rows(snapshot, part, counted_columns(snapshot.name, snapshot.schema.names))
        # Windows end by the time of a ledger, also where the table has no row of it.
        closed_at = max(count.closed_at, _closed_at(rows), self._closing(part.end) if is_last else 0)
        before, count.ledgers = count.ledgers, count.ledgers | LedgerSet([part])
        try:
            count.analytics.add({count.table: rows}, part, closed_at)
        except StellarrowError:
            count.ledgers = before
            raise
        count.closed_at, count.last = closed_at, part.end

    def _closing(self, ledger: int) -> int:
        """Return when a ledger closed, by the tables that have a row of it; 0 where none has."""
        for name in sorted(self.tables, key=lambda one: one != "ledgers"):
            snapshot = self._tables.snapshot(name)
            if ledger in snapshot.coverage:
                rows = _rows(snapshot, LedgerRange(ledger, ledger), ["ledger_sequence", "closed_at"])
                if closed_at := _closed_at(rows):
                    return closed_at
        return 0

    def _due(self, count: _Count) -> Iterator[tuple[LedgerRange, bool]]:
        """Yield the ledgers behind the last that was counted, some at a time, and whether they are the last.

        What is in memory alone is counted once every table of memory has come to it.
        """
        snapshot, hot = self._tables.snapshot(count.table), self._tables.hot
        due = LedgerSet([LedgerRange(count.last + 1, LAST_POSSIBLE)]) & snapshot.coverage
        come = [hot.picture(name).coverage for name in hot.tables if name in self.tables]
        passed = LedgerSet([LedgerRange(0, min((one.last if one else 0 for one in come), default=0))])
        due &= snapshot.stored.coverage | passed if snapshot.stored else passed
        for part in due.windows(_LEDGERS):
            yield part, part.end == due.last


def _rows(snapshot: Snapshot, part: LedgerRange, names: list[str]) -> pa.RecordBatch:
    columns = tuple(names)
    schema = snapshot.answer_schema(columns)
    found = [*snapshot.read(Question(table=snapshot.name, columns=columns), part)]
    return pa.concat_batches(found) if found else no_rows(schema)


def _closed_at(rows: pa.RecordBatch) -> int:
    return int(pc.max(rows.column("closed_at")).as_py().timestamp()) if rows.num_rows else 0


def plain_numbers(found: pa.Table) -> pa.Table:
    """Write counts as numbers: they are far below what a number of JSON holds exactly."""
    columns = [
        column.cast(pa.float64()) if column.type in (pa.uint64(), pa.int64()) else column
        for column in found.columns
    ]
    return pa.Table.from_arrays(columns, names=found.schema.names)
