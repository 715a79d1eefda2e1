"""What keeps an Iceberg table quick to read and to commit to: few files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any, Final

from stellarrow.errors import Damaged, SinkError
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import window
from stellarrow.sinks.files.runs import Runs
from stellarrow.sinks.iceberg.book import coverage_of
from stellarrow.sinks.iceberg.catalog import FileUpload, Namespace, told
from stellarrow.sinks.iceberg.commits import Commit, guarded
from stellarrow.sinks.iceberg.location import Location
from stellarrow.sinks.iceberg.partitions import data_file
from stellarrow.sinks.iceberg.reading import HeldIceberg, held_files, held_tables
from stellarrow.sinks.lakehouse.data_file import DataFile, Partition, Written
from stellarrow.sinks.lakehouse.rows import HeldFile, in_order

with needing("Iceberg", "iceberg"):
    from pyiceberg.exceptions import CommitFailedException, ValidationException
    from pyiceberg.table import Table

_log: Final = logging.getLogger(__name__)
_CHANCES: Final = 20  # for a merge, beside writers


def compact(namespace: Namespace, location: Location, ledgers_per_file: int) -> int:
    """Merge the files of each aligned range of ledgers into one a partition; return how many files went."""
    return sum(
        Merging(namespace, held.name, Parquet(location.codec)).merge(around)
        for held in held_tables(namespace)
        for around in sorted(
            {window(one.first, ledgers_per_file) for one in held_files(held.where, held.table)}
        )
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Files of one partition within an aligned range of ledgers."""

    partition: Partition
    around: LedgerRange
    files: list[HeldFile]


@dataclass(frozen=True, slots=True)
class Merging:
    """Puts one file in the place of several of one table; it reads the table by itself."""

    namespace: Namespace
    name: str
    format: Parquet

    @property
    def where(self) -> str:
        return self.namespace.where(self.name)

    def guarded(self, around: LedgerRange, stopped: Callable[[], bool]) -> None:
        """Merge; what goes wrong is told, and done another time, as no row depends on it."""
        try:
            self.merge(around, stopped)
        except SinkError as error:
            _log.warning("%s is not tidied up now: %s", self.where, error)

    def merge(self, around: LedgerRange, stopped: Callable[[], bool] = lambda: False) -> int:
        """Make one file a partition of those within an aligned range; return how many are gone for it."""
        if (table := self.namespace.load(self.name)) is None:
            return 0
        groups: dict[Partition, list[HeldFile]] = {}
        entries = _entries(self.where, table)
        for one in held_files(self.where, table):
            entry = entries.get(one.path)
            if entry is None or entry.spec_id != table.metadata.default_spec_id:
                continue
            if one.first in around and one.last in around:
                groups.setdefault(_values(entry.partition), []).append(one)
        return sum(
            self._merge(table, _Group(partition, around, files), stopped)
            for partition, files in groups.items()
            if len(files) > 1
        )

    def _merge(self, table: Table, group: _Group, stopped: Callable[[], bool]) -> int:
        """Put one file in the place of several, in one commit; 0 where another was faster."""
        path = f"{table.location()}/data/part-{token_hex(12)}{self.format.suffix}"
        made = self._written(table, path, group, stopped)
        gone = {one.path for one in group.files}
        for _ in range(_CHANCES) if made else ():
            if (now := self.namespace.load(self.name)) is None:
                break
            there = _entries(self.where, now)
            if path in there:
                return len(gone)  # the answer was lost
            if not gone <= there.keys():
                break
            if made and self._committed(now, path, made, [there[one] for one in gone]):
                return len(gone)
        if made:
            table.io.delete(path)
        return 0

    def _committed(self, table: Table, path: str, made: Written, gone: list[Any]) -> bool:
        transaction = Commit(guarded(table))
        try:
            with told(self.where):
                with transaction.update_snapshot().overwrite() as update:
                    for one in gone:
                        update.delete_data_file(one)
                    update.append_data_file(data_file(table.metadata, path, made))
                transaction.commit_transaction()
        except SinkError as error:
            if not isinstance(error.__cause__, CommitFailedException | ValidationException):
                raise
            return False
        return True

    def _written(self, table: Table, path: str, group: _Group, stopped: Callable[[], bool]) -> Written | None:
        """Write the rows of files to one; None where there is no time left."""
        held = HeldIceberg(self.where, table, coverage_of(self.where, table))
        schema, upload = held.stored.stored, FileUpload()
        upload.table = table
        file = DataFile(upload, schema, self.format)
        try:
            runs = Runs(schema, sort_by=self.format.sort_by(schema))
            for rows in in_order(group.files, held.open_file, schema, schema.names, group.around):
                if stopped():
                    return None
                for run in runs.add(rows):
                    file.write(run)
            file.write(runs.rest())
            made = file.close()
            if made.footer.num_rows != sum(one.rows for one in group.files):
                raise Damaged(
                    f"{self.where} has not the rows of ledgers {group.around} that it tells of: run check"
                )
            upload.place(path)
        finally:
            file.discard()
        return replace(made, partition=group.partition)


def _values(record: Any) -> Partition:
    return tuple(record[at] for at in range(len(record)))


def _entries(where: str, table: Table) -> dict[str, Any]:
    """Return what the table's manifests tell of each file, by its path."""
    with told(where):
        return {task.file.file_path: task.file for task in table.scan().plan_files()}
