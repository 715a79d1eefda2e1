"""One table's files: what they cover, the range being written, and the thread that writes it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from stellarrow.core.rows import between, imported
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.compaction import compact, remade
from stellarrow.sinks.files.entering import enter_rest, place_or_prove, prove_all, proven_rest
from stellarrow.sinks.files.layout import aligned, trusted, window
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.range_writer import RangeFiles, Shape
from stellarrow.sinks.files.runs import Run, Runs
from stellarrow.sinks.files.superseding import clean, replaced
from stellarrow.sinks.files.worker import Worker
from stellarrow.storage.files import FileStore, Gone

_CHANCES: Final = 5  # to place a range beside writers that are merging the same ledgers at the same moment


class TableFiles:
    """A table being kept. `write` and `finish` hand over to the thread, `wait` waits for it.

    The folder is read when it is first asked or written about, and changed by the first write or `settle`.
    """

    def __init__(self, store: FileStore, shape: Shape, *, ledgers_per_file: int, compactions: Worker) -> None:
        self._store = store
        self._shape = shape
        self._ledgers_per_file = ledgers_per_file
        self._compactions = compactions
        self._lane = Worker(f"stellarrow-{shape.folder}", waiting=1)
        self._listing = Listing(store, shape)
        self._covered: LedgerSet | None = None
        self._taken = LedgerSet()
        self._unentered: list[tuple[LedgerRange, KeptFile]] = []
        self._cleaned = False
        self._open: LedgerRange | None = None
        self._runs = Runs(shape.schema, sort_by=shape.sort_by, at_once=shape.is_written_as_it_comes)
        self._files: RangeFiles | None = None
        self._begun: list[RangeFiles] = []
        self.files_written = 0

    @property
    def covered(self) -> LedgerSet:
        """The ledgers that are durably here, or were, and are archived or deleted by now."""
        if self._covered is None:
            self._covered = self._taken = self._looked()
        return self._covered

    def left(self) -> tuple[LedgerSet, LedgerSet]:
        """Return the ledgers that were archived, and those that were deleted; none that are here."""
        departed, here = self._listing.departed(), self._listing.ranges()
        deleted = LedgerSet(departed.deleted)
        return LedgerSet(departed.archived) - deleted - here, deleted - here

    def _looked(self) -> LedgerSet:
        """Read what is there, and prove what no entry vouches for; change nothing."""
        entered = self._listing.check()
        for _ in replaced(self._listing, self._listing.parts()):
            pass  # what lies within a wider range is removed with the first write, but proven now
        self._unentered = proven_rest(self._listing, entered)
        return self._listing.ranges() | self._listing.departed().ledgers

    def settle(self) -> None:
        """Enter files whose writer died before it did."""
        if self.covered and self._unentered:
            enter_rest(self._listing, self._unentered)
            self._unentered = []

    def write(self, rows: Any, ledgers: LedgerRange) -> None:
        """Take rows in, pyarrow's or as the core made them."""
        self.settle()
        for missing in self._missing(ledgers):
            for part in aligned(missing, self._ledgers_per_file):
                self._append(rows if part == ledgers else between(imported(rows), part), part)

    def _missing(self, ledgers: LedgerRange) -> LedgerSet:
        if self._open and self._open.end + 1 == ledgers.first and self._reach < ledgers.first:
            return LedgerSet([ledgers])  # most batches, and small ones must not wait for set arithmetic
        return LedgerSet([ledgers]) - self._taken - LedgerSet([self._open] if self._open else [])

    @property
    def _reach(self) -> int:
        return self._taken.last if self._taken else -1

    def _append(self, rows: Any, ledgers: LedgerRange) -> None:
        if self._open and self._open.end + 1 != ledgers.first:
            self.finish()
        if self._files is None:
            if not self._cleaned:
                clean(self._listing)
                self._cleaned = True
            self._files = RangeFiles(self._store, self._shape)
            self._begun.append(self._files)
        self._open = LedgerRange(self._open.first if self._open else ledgers.first, ledgers.last)
        for run in self._runs.add(rows):
            self._lane.do(partial(self._files.write, run))
        if (ledgers.end + 1) % self._ledgers_per_file == 0:
            self.finish()

    def finish(self) -> None:
        """Let the range being written become durable; it is when `wait` returns."""
        if self._files and self._open:
            self._lane.do(partial(self._finish, self._files, self._runs.rest(), self._open))
            self._taken |= LedgerSet([self._open])
            self._files, self._open = None, None

    def _finish(self, files: RangeFiles, rest: Run, ledgers: LedgerRange) -> None:
        try:
            files.write(rest)
            files.close(ledgers)
            with self._store.alone(self._shape.folder):
                self._place_beside_others(files, ledgers)
        finally:
            files.discard()
            self._begun.remove(files)
        self._covered = self.covered | LedgerSet([ledgers])
        self._compact_if_full(window(ledgers.first, self._ledgers_per_file), ledgers)

    def _place_beside_others(self, files: RangeFiles, ledgers: LedgerRange) -> None:
        """Place the files; where another writer merged what was being looked at just now, look again."""
        for chance in reversed(range(_CHANCES)):
            try:
                self._place(files, ledgers)
                break
            except Gone:
                if not chance:
                    raise

    def _place(self, files: RangeFiles, ledgers: LedgerRange) -> None:
        """Place the files, but not what another writer has placed since. Gone."""
        missing = LedgerSet([ledgers]) - LedgerSet(self._placed_since(ledgers))
        if missing == LedgerSet([ledgers]):
            self._enter(files, ledgers)
            return
        for part in missing:
            folders = [
                [between(rows, part) for rows in self._shape.format.read(file, self._shape.schema)]
                for file in files.written().values()
            ]
            anew = remade(self._store, self._shape, part, folders)
            try:
                self._enter(anew, part)
            finally:
                anew.discard()

    def _enter(self, files: RangeFiles, ledgers: LedgerRange) -> None:
        place_or_prove(self._listing, files, ledgers)
        self.files_written += len(files.kept(ledgers))

    def _placed_since(self, ledgers: LedgerRange) -> list[LedgerRange]:
        """Return what another writer has placed of these ledgers, proven to hold them. Gone."""
        parts = trusted(self._listing.parts(after=window(ledgers.first, self._ledgers_per_file).first))
        there = [part for part, _ in parts if part.first <= ledgers.end and ledgers.first <= part.end]
        prove_all(self._listing, there)
        return there

    def _compact_if_full(self, around: LedgerRange, last: LedgerRange) -> None:
        if last != around and not LedgerSet([around]) - self.covered:
            self._compactions.do(partial(compact, self._listing, around, self._compactions.stopped))

    def wait(self) -> None:
        self._lane.wait()

    def discard(self, *, patience: float = 0.0) -> None:
        """End the thread; what is full may still be placed, what was being filled is dropped."""
        self._lane.stop(patience=patience)
        for files in self._begun:
            files.discard()
        self._begun.clear()
        self._files, self._open = None, None
