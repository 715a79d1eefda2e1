"""Parquet files of a table on their way: runs in, footers and counts out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellarrow.core.rows import between
from stellarrow.ledgers import LedgerSet
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.runs import Run, Runs, arranged
from stellarrow.sinks.lakehouse.coverage import by_stride, stride_of
from stellarrow.storage.files import Upload

_LEDGER = "ledger_sequence"
Partition = tuple[Any, ...]
# Divides rows by the partition that a table keeps them in; equal ones divide alike.
Divide = Callable[[Run], Iterator[tuple[Partition, Run]]]


def undivided(rows: Run) -> Iterator[tuple[Partition, Run]]:
    """Leave rows together, for a table without partitions."""
    yield (), rows


@dataclass(frozen=True, slots=True)
class Written:
    """A whole file, not placed yet: its size, digest and footer, and the rows of each stride of ledgers.

    `divide` says how rows were divided, and `partition` which of them these are.
    """

    upload: Upload
    bytes: int
    sha256: str
    footer: pq.FileMetaData
    rows: Counter[int]
    partition: Partition = ()
    divide: Divide = undivided


class DataFiles:
    """The files of one commit: one, or one for each partition that has rows; none where there are none."""

    def __init__(
        self,
        create: Callable[[], Upload],
        schema: pa.Schema,
        format: Parquet,
        divide: Divide = undivided,
    ) -> None:
        self._create = create
        self._schema = schema
        self._format = format
        self._divide = divide
        self._files: dict[Partition, DataFile] = {}

    def write(self, run: Run) -> None:
        """Append a run of whole ledgers, in ledger order."""
        for partition, rows in self._divide(run) if run.num_rows else ():
            if partition not in self._files:
                self._files[partition] = DataFile(self._create(), self._schema, self._format)
            self._files[partition].write(rows)

    def close(self) -> list[Written]:
        """End the files."""
        return [
            replace(file.close(), partition=partition, divide=self._divide)
            for partition, file in self._files.items()
        ]

    def discard(self) -> None:
        """Forget the files that were not placed."""
        for file in self._files.values():
            file.discard()


class DataFile:
    """A file being written; rows of each run are sorted as the format wants them."""

    def __init__(self, upload: Upload, schema: pa.Schema, format: Parquet) -> None:
        self._upload = upload
        self._format = format
        self._sort_by = format.sort_by(schema)
        self._rows: Counter[int] = Counter()
        self._bytes = _Bytes(upload)
        self._writing = format.begin(self._bytes, schema)

    def write(self, run: Run) -> None:
        """Append a run of whole ledgers, in ledger order."""
        if not run.num_rows:
            return
        self._rows += _counted(run)
        for _, rows in arranged(run, sort_by=self._sort_by, partition=None, block=self._format.block):
            self._writing.write(rows)

    def close(self) -> Written:
        """End the file."""
        self._writing.close({})
        file = self._upload.written()  # closing it would close what is to be placed
        digest = self._bytes.digest.hexdigest()
        return Written(self._upload, file.size(), digest, pq.read_metadata(file), self._rows)

    def discard(self) -> None:
        """Forget the file, if it was not placed."""
        self._bytes.upload = None
        self._upload.discard()


class _Bytes:
    """What Parquet's writer takes for a file."""

    closed = False

    def __init__(self, upload: Upload) -> None:
        self.upload: Upload | None = upload
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Pass bytes on, and digest them; of a file that was given up, Arrow writes the rest when it goes."""
        if self.upload is None:
            return memoryview(data).nbytes
        self.digest.update(data)
        return self.upload.write(data)

    def flush(self) -> None:
        """Nothing: what is written aside is made durable when it is placed."""

    def close(self) -> None:
        """Nothing: it is read before it is placed."""


def _counted(run: Run) -> Counter[int]:
    ledgers = run.column(_LEDGER)
    first, last = (one.as_py() for one in pc.min_max(ledgers).values())  # sorted rows are kept in no order
    if stride_of(first) == stride_of(last):
        return Counter({stride_of(first): run.num_rows})
    found = ledgers.value_counts().to_pylist()
    return by_stride((one["values"], one["counts"]) for one in found)


def narrowed(
    whole: pa.NativeFile, missing: LedgerSet, into: DataFiles, schema: pa.Schema, format: Parquet
) -> list[Written]:
    """Write a file again with the rows of these ledgers alone."""
    try:
        runs = Runs(schema, sort_by=format.sort_by(schema))
        for rows in format.read(whole, schema):
            for part in missing:
                for run in runs.add(between(rows, part)):
                    into.write(run)
        into.write(runs.rest())
        return into.close()
    except BaseException:
        into.discard()
        raise


def bounds(footer: pq.FileMetaData, group: int) -> tuple[int, int] | None:
    """Return the least and the greatest ledger of a row group; None where it does not tell."""
    at = footer.schema.to_arrow_schema().get_field_index(_LEDGER)
    held: Any = footer.row_group(group).column(at).statistics if at >= 0 else None
    return (held.min, held.max) if held is not None and held.has_min_max else None
