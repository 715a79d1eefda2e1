"""What keeps a table quick to read: merging, checkpoints, and removing what nobody reads any more.

None of it changes a row or the coverage: merging is a commit that says so (`dataChange` false).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import folder_of, is_typed
from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.delta.book import FOLDER, read_coverage
from stellarrow.sinks.delta.log import CHECKPOINT_EVERY, DeltaLog, add, removals
from stellarrow.sinks.delta.snapshot import KEPT_SECONDS, held_file
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import window
from stellarrow.sinks.files.runs import Runs
from stellarrow.sinks.lakehouse.data_file import DataFile, Written
from stellarrow.sinks.lakehouse.rows import HeldFile, in_order
from stellarrow.sinks.transactional.stored_columns import StoredColumns
from stellarrow.storage.files import FileStore, Gone

_logger: Final = logging.getLogger(__name__)
_LOG_SECONDS: Final = 30 * 86_400  # how long a version can be read again, as Delta's own default
_SWEEP_SECONDS: Final = 86_400  # how often a writer looks for what nobody reads
_CHANCES: Final = 20  # for a merge, beside writers


@dataclass(slots=True)
class Upkeep:
    """The upkeep of one table; it reads the log by itself, so that it hinders no writer.

    Without a schema the table tells its columns: files of a contract's own may have more than a writer knows.
    """

    store: FileStore
    folder: str
    schema: pa.Schema | None
    format: Parquet
    ledgers_per_file: int
    log: DeltaLog = field(init=False)
    _swept: float | None = None

    def __post_init__(self) -> None:
        self.log = DeltaLog(self.store, self.folder)

    @classmethod
    def of(
        cls, store: FileStore, name: str, stored: StoredColumns, format: Parquet, ledgers_per_file: int
    ) -> Upkeep:
        """Return the upkeep of a table with these columns."""
        schema = None if is_typed(name) else stored.stored
        return cls(store, folder_of(name), schema, format, ledgers_per_file)

    def after(self, version: int, around: LedgerRange | None, stopped: Callable[[], bool]) -> None:
        """Do what is due after a commit: merge a range that is full, write a checkpoint, clean up."""
        if around:
            self.merge(around, stopped)
        if self.is_due(version):
            self.log.refresh()
            self.checkpoint()

    def is_due(self, version: int) -> bool:
        """Tell whether a checkpoint follows a commit."""
        return version > 0 and version % CHECKPOINT_EVERY == 0

    def checkpoint(self) -> None:
        """Write a checkpoint of what was read, and clean up once a day."""
        if self.log.snapshot.version >= 0:
            self.log.write_checkpoint()
        now = time.monotonic()
        if self._swept is None or now - self._swept > _SWEEP_SECONDS:
            self._swept = now
            self.log.clean(_LOG_SECONDS)
            self.sweep()

    def windows(self) -> list[LedgerRange]:
        """Return the aligned ranges of which several files are."""
        self.log.refresh()
        found: dict[LedgerRange, int] = {}
        for one in self.log.snapshot.held():
            if one.last in (around := window(one.first, self.ledgers_per_file)):
                found[around] = found.get(around, 0) + 1
        return sorted(around for around, count in found.items() if count > 1)

    def merge(self, around: LedgerRange, stopped: Callable[[], bool] = lambda: False) -> int:
        """Make one file of those within an aligned range; return how many are gone for it."""
        coverage = None if self.schema else read_coverage(self.log)
        snapshot = self.log.snapshot if coverage else self.log.refresh()
        snapshot.check()
        inputs = [path for path, one in snapshot.files.items() if _is_within(self.log.where, one, around)]
        if len(inputs) < 2:
            return 0
        entries = [snapshot.files[path] for path in inputs]
        schema = coverage.stored.stored if coverage else self.schema
        try:
            made = self._merged([held_file(self.log.where, one) for one in entries], schema, around, stopped)
        except Gone:
            return 0  # another writer was first
        if made is None:
            return 0
        name = f"part-{around.first:010d}-{around.end:010d}-{token_hex(8)}{self.format.suffix}"
        try:
            made.upload.place(f"{self.folder}/{name}")
        finally:
            made.upload.discard()
        actions = [*removals(entries), add(name, made, is_new=False)]
        for _ in range(_CHANCES):
            if self.log.commit("OPTIMIZE", actions, ledgers=str(around)):
                return len(inputs)
            now = self.log.refresh()
            if name in now.files:
                return len(inputs)  # the answer was lost
            if not all(path in now.files for path in inputs):
                break
        self.store.remove([f"{self.folder}/{name}"])
        return 0

    def _merged(
        self,
        inputs: Sequence[HeldFile],
        schema: pa.Schema,
        around: LedgerRange,
        stopped: Callable[[], bool],
    ) -> Written | None:
        file = DataFile(self.store.create(), schema, self.format)
        try:
            runs = Runs(schema, sort_by=self.format.sort_by(schema))
            for rows in in_order(inputs, self.open, schema, schema.names, around):
                if stopped():
                    file.discard()
                    return None
                for run in runs.add(rows):
                    file.write(run)
            file.write(runs.rest())
            made = file.close()
            if made.footer.num_rows != (due := sum(one.rows for one in inputs)):
                raise Damaged(
                    f"{self.log.where} has {made.footer.num_rows} rows of ledgers {around}, and its log says"
                    f" {due}: run stellarrow check"
                )
        except BaseException:
            file.discard()
            raise
        return made

    def open(self, path: str) -> pa.NativeFile:
        """Open a file of the table."""
        return self.store.read(f"{self.folder}/{path}")

    def sweep(self, seconds: float = KEPT_SECONDS) -> int:
        """Remove files that the table does not have and that are older than so long; return how many."""
        snapshot = self.log.refresh()
        if snapshot.coverage is None:
            return 0
        limit = time.time() - seconds
        held = {f"{self.folder}/{one.path}" for one in snapshot.held()}
        coverage = f"{self.folder}/{FOLDER}/{snapshot.coverage}.json"
        recent = {
            f"{self.folder}/{path}"
            for path, one in snapshot.removed.items()
            if (one.get("deletionTimestamp") or 0) > limit * 1_000
        }
        gone = [
            one.path
            for one in [*self.store.list(self.folder), *self.store.list(f"{self.folder}/{FOLDER}")]
            if one.changed < limit and one.path not in held | recent and one.path != coverage
        ]
        self.store.remove(gone)
        return len(gone)

    def guarded(self, version: int, around: LedgerRange | None, stopped: Callable[[], bool]) -> None:
        """Do what is due; what goes wrong is told, and done another time, as no row depends on it."""
        try:
            self.after(version, around, stopped)
        except SinkError as error:
            _logger.warning("%s is not tidied up now: %s", self.log.where, error)
            self.log = DeltaLog(self.store, self.folder)


def _is_within(where: str, told: dict[str, object], around: LedgerRange) -> bool:
    held = held_file(where, told)
    return held.first in around and held.last in around
