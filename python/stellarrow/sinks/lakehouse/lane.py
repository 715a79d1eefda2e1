"""One table being kept: rows of ledgers in, files out, each handed over with the ledgers it is of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

import pyarrow as pa

from stellarrow.core.rows import between
from stellarrow.errors import StellarrowError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import aligned
from stellarrow.sinks.files.runs import Run, Runs
from stellarrow.sinks.files.worker import Worker
from stellarrow.sinks.lakehouse.data_file import DataFiles, Written
from stellarrow.sinks.transactional.stored_columns import StoredColumns


class Book(Protocol):
    """A table's log, at the place itself."""

    def covered(self) -> LedgerSet:
        """Read which ledgers are there; refuse a table that was written otherwise."""

    def begin(self) -> DataFiles:
        """Begin the files of a commit."""

    def keep(self, files: Sequence[Written], ledgers: LedgerSet) -> LedgerSet:
        """Commit files, if there are rows, and that their ledgers are there; return all that are.

        What another writer has committed by then is left out.
        """


class Lane:
    """A table and the thread that writes its files. `finish` hands over, `wait` waits for it.

    A file ends where a ledger is a multiple of `ledgers_per_file`, or with a commit.
    """

    def __init__(
        self, name: str, book: Book, stored: StoredColumns, format: Parquet, *, ledgers_per_file: int
    ) -> None:
        self._book = book
        self._stored, schema = stored, stored.stored
        self._format = format
        self._ledgers_per_file = ledgers_per_file
        self._worker = Worker(f"stellarrow-{name}", waiting=1)
        self._covered: LedgerSet | None = None
        self._taken = LedgerSet()
        self._open: list[LedgerRange] = []
        self._reach = -1  # the last ledger of what is open, or was taken
        self._runs = Runs(schema, sort_by=format.sort_by(schema))
        self._file: DataFiles | None = None
        self._begun: list[DataFiles] = []

    @property
    def covered(self) -> LedgerSet:
        """The ledgers that are durably there."""
        return self._look() if self._covered is None else self._covered

    def _look(self) -> LedgerSet:
        self._covered = self._taken = found = self._book.covered()
        self._reach = found.last if found else -1
        return found

    def write(self, rows: pa.RecordBatch, ledgers: LedgerRange) -> None:
        """Take rows of whole ledgers; what is there, or was taken before, is dropped."""
        for missing in self._missing(ledgers):
            for part in aligned(missing, self._ledgers_per_file):
                self._append(rows if part == ledgers else between(rows, part), part)

    def _missing(self, ledgers: LedgerRange) -> LedgerSet:
        if self._covered is None:
            self._look()
        if self._reach < ledgers.first:  # most batches
            return LedgerSet([ledgers])
        return LedgerSet([ledgers]) - self._taken - LedgerSet(self._open)

    def _append(self, rows: pa.RecordBatch, ledgers: LedgerRange) -> None:
        if self._open and ledgers.first // self._ledgers_per_file != (
            self._open[0].first // self._ledgers_per_file
        ):
            self.finish()
        if self._open and ledgers.first < self._open[-1].first:
            self.finish()  # rows of a file come in ledger order
        self._open.append(ledgers)
        self._reach = max(self._reach, ledgers.end)
        for run in self._runs.add(self._stored.put(rows)):
            self._hand_over(run)
        if (ledgers.end + 1) % self._ledgers_per_file == 0:
            self.finish()

    def _hand_over(self, run: Run) -> None:
        if self._file is None:
            self._file = self._book.begin()
            self._begun.append(self._file)
        self._worker.do(partial(self._file.write, run))

    def finish(self) -> None:
        """Let what is open become durable; it is when `wait` returns."""
        if not self._open:
            return
        rest = self._runs.rest()
        if rest.num_rows:
            self._hand_over(rest)
        ledgers = LedgerSet(self._open)
        self._worker.do(partial(self._finish, self._file, ledgers))
        self._taken |= ledgers
        self._file, self._open = None, []

    def _finish(self, file: DataFiles | None, ledgers: LedgerSet) -> None:
        try:
            self._covered = self._book.keep(file.close() if file else [], ledgers)
        finally:
            if file:
                file.discard()
                self._begun.remove(file)

    def wait(self) -> None:
        """Return once all that was finished is durable; raise what went wrong."""
        self._worker.wait()

    def discard(self, *, patience: float) -> None:
        """Forget what is not durable."""
        self._worker.stop(patience=patience)
        for file in self._begun:
            with suppress(StellarrowError):
                file.discard()
        self._begun.clear()
