"""What keeps an Iceberg table quick to read and to commit to: few snapshots, few files."""

from __future__ import annotations

import logging
from secrets import token_hex
from typing import Any, Final

from stellarrow.errors import Damaged, SinkError
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import window
from stellarrow.sinks.files.runs import Runs
from stellarrow.sinks.files.signed import signed
from stellarrow.sinks.iceberg.catalog import FileUpload, Namespace, told
from stellarrow.sinks.iceberg.location import Location
from stellarrow.sinks.iceberg.reading import HeldIceberg, held_files, held_tables
from stellarrow.sinks.lakehouse.data_file import DataFile
from stellarrow.sinks.lakehouse.rows import HeldFile, in_order

with needing("Iceberg", "iceberg"):
    from pyiceberg.exceptions import CommitFailedException, ValidationException
    from pyiceberg.io.pyarrow import parquet_file_to_data_file
    from pyiceberg.table import Table

_log: Final = logging.getLogger(__name__)


class Expiry:
    """Keeps the snapshots of a table few, as each commit writes them all again."""

    def __init__(self, kept: int) -> None:
        self._kept = kept

    def after(self, table: Table) -> None:
        """Let the oldest snapshots go once there are twice as many as are to stay; no row depends on it."""
        snapshots = sorted(table.metadata.snapshots, key=lambda one: one.timestamp_ms)
        if len(snapshots) < 2 * self._kept:
            return
        try:
            with told(str(table.name())):
                held = {ref.snapshot_id for ref in table.metadata.refs.values()}
                old = [one.snapshot_id for one in snapshots[: -self._kept] if one.snapshot_id not in held]
                table.maintenance.expire_snapshots().by_ids(old).commit()
        except SinkError as error:
            _log.info("snapshots stay for now: %s", error)


def compact(namespace: Namespace, location: Location, ledgers_per_file: int) -> int:
    """Merge the files of each aligned range of ledgers into one; return how many files went."""
    gone = 0
    for held in held_tables(namespace):
        found: dict[LedgerRange, list[HeldFile]] = {}
        for one in held_files(held.where, held.table):
            if one.last in (around := window(one.first, ledgers_per_file)):
                found.setdefault(around, []).append(one)
        for around, files in sorted(found.items()):
            if len(files) > 1:
                gone += _merge(namespace, held, location, around, files)
    return gone


def _merge(
    namespace: Namespace, held: HeldIceberg, location: Location, around: LedgerRange, files: list[HeldFile]
) -> int:
    """Put one file in the place of several, in one commit; 0 where another was faster."""
    table = namespace.load(held.name)
    if table is None:
        return 0
    paths = {one.path for one in files}
    there: dict[str, Any] = {task.file.file_path: task.file for task in table.scan().plan_files()}
    if not paths <= there.keys():
        return 0
    path = _written(held, table, Parquet(location.codec), around, files)
    transaction = table.transaction()
    try:
        with told(held.where), transaction.update_snapshot().overwrite() as update:
            for one in paths:
                update.delete_data_file(there[one])
            update.append_data_file(parquet_file_to_data_file(table.io, table.metadata, path))
        with told(held.where):
            transaction.commit_transaction()
    except SinkError as error:
        if not isinstance(error.__cause__, CommitFailedException | ValidationException):
            raise
        table.io.delete(path)
        return 0
    return len(paths)


def _written(
    held: HeldIceberg, table: Table, format: Parquet, around: LedgerRange, files: list[HeldFile]
) -> str:
    schema = signed(held.schema)
    upload = FileUpload()
    upload.table = table
    file = DataFile(upload, schema, format)
    try:
        runs = Runs(schema, sort_by=format.sort_by(schema))
        for rows in in_order(files, held.open_file, schema, schema.names, around):
            for run in runs.add(rows):
                file.write(run)
        file.write(runs.rest())
        made = file.close()
        if made.footer.num_rows != sum(one.rows for one in files):
            raise Damaged(f"{held.where} has not the rows of ledgers {around} that it tells of: run check")
        path = f"{table.location()}/data/part-{token_hex(12)}{format.suffix}"
        upload.place(path)
    finally:
        file.discard()
    return path
