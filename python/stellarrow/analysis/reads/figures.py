"""Figures over time windows of the tables that are answered: counted again from their rows after a restart.

All tables are counted up to the same ledger, in order, on a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.windows import TABLES, Analytics, counted_columns
from stellarrow.errors import StellarrowError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet

_LEDGERS: Final = 256  # counted at once
_RETRY_SECONDS: Final = 5.0
_log: Final = logging.getLogger(__name__)


class KeptFigures:
    """Counts what the tables have, and what comes."""

    def __init__(self, tables: Tables, *, most_bytes: int) -> None:
        self.analytics = Analytics(most_bytes=most_bytes)
        self.tables = tuple(name for name in TABLES if name in tables.names)
        self._tables = tables
        self._last = 0
        self._closed_at = 0
        self._changed = threading.Event()
        self._stop = threading.Event()
        self._unlisten = tables.listen(self._changed.set)
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._thread = threading.Thread(target=self._run, name="stellarrow-figures", daemon=True)

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
            except StellarrowError as error:
                _log.error("figures end with ledger %d for now: %s", self._last, error)
                self._stop.wait(_RETRY_SECONDS)
                self._changed.set()

    def _count_new(self) -> None:
        for part in self._due():
            if self._stop.is_set():
                return
            rows = {name: self._rows(name, part) for name in self.tables}
            closings = [pc.max(one.column("closed_at")).as_py() for one in rows.values() if one.num_rows]
            self._closed_at = max([self._closed_at, *(int(one.timestamp()) for one in closings)])
            self.analytics.add(rows, part, self._closed_at)
            self._last = part.end
            for tell in self._listeners:
                tell()

    def _due(self) -> Iterator[LedgerRange]:
        """Yield the ledgers that every table has and that were not counted, some at a time."""
        due = LedgerSet([LedgerRange(self._last + 1, LAST_POSSIBLE)])
        for name in self.tables:
            due &= self._tables.snapshot(name).coverage
        for part in due:
            for first in range(part.first, part.end + 1, _LEDGERS):
                yield LedgerRange(first, min(part.end, first + _LEDGERS - 1))

    def _rows(self, name: str, part: LedgerRange) -> pa.RecordBatch:
        snapshot = self._tables.snapshot(name)
        columns: tuple[Any, ...] = tuple(counted_columns(name, snapshot.schema.names))
        schema = snapshot.answer_schema(columns)
        found = [*snapshot.read(Question(table=name, columns=columns), part)]
        return pa.concat_batches(found) if found else pa.RecordBatch.from_pylist([], schema)


def plain_numbers(found: pa.Table) -> pa.Table:
    """Write counts as numbers: they are far below what a number of JSON holds exactly."""
    columns: list[Any] = [
        column.cast(pa.float64()) if column.type in (pa.uint64(), pa.int64()) else column
        for column in found.columns
    ]
    return pa.Table.from_arrays(columns, names=found.schema.names)
