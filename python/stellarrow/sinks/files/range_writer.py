"""The files of one ledger range: rows in, a file a folder, all placed and entered in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stellarrow.core.tables import Table, TypedTable, columns_of, folder_of, written
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.formats import Format, Writing
from stellarrow.sinks.files.group_index import FileIndex, IndexBuilder, index_path, sections_of, write_index
from stellarrow.sinks.files.layout import Partition, file_name
from stellarrow.sinks.files.manifest import Entry, KeptFile, entry_path
from stellarrow.sinks.files.runs import Run, arranged
from stellarrow.sinks.files.signed import signed
from stellarrow.storage.files import FileStore, Upload


@dataclass(frozen=True, slots=True)
class Shape:
    """What all files of a table have in common; `folder` is the table's, below the place."""

    folder: str
    schema: pa.Schema
    facts: dict[str, str]
    format: Format
    partition: Partition | None

    @property
    def sort_by(self) -> str | None:
        return self.format.sort_by(self.schema)

    @property
    def is_written_as_it_comes(self) -> bool:
        """Whether rows need wait for no others."""
        return self.format.block is None and self.partition is None

    @property
    def is_indexed(self) -> bool:
        """Whether its files get indexes: those in row groups, of accounts or assets."""
        return self.format.name == "parquet" and bool(sections_of(self.schema))

    def is_worth_an_index(self, rows: int) -> bool:
        """Tell whether a range has rows enough: few are read as soon as an index is, and are merged later."""
        return self.is_indexed and rows > (self.format.block or 0)

    def path(self, ledgers: LedgerRange, folder: str = "") -> str:
        """Return a file's path below the table's folder."""
        name = file_name(ledgers, self.format.suffix)
        return f"{folder}/{name}" if folder else name

    def names(self, ledgers: LedgerRange) -> list[str]:
        """Return what a range's file may be called: as it was written, and as it was compressed since."""
        return [file_name(ledgers, suffix) for suffix in self.format.suffixes]


def shape_of(
    kept: Table,
    facts: dict[str, str],
    format: Format,
    partition: Partition | None,
    *,
    folder: str | None = None,
) -> Shape:
    """Return what a table's files have in common; one without the partition's column has no partitions."""
    where = Filter(**json.loads(facts["filter"] or "{}"))
    columns = columns_of(kept, where, decoded=bool(facts["decoded"]))
    if isinstance(kept, TypedTable):
        facts = {**facts, "columns": written(kept.columns)}
    if facts.get("unsigned"):
        columns = signed(columns)
    if partition and partition.column not in columns.names:
        partition = None
    facts = {
        "table": kept.name,
        "schema_version": kept.version,
        **facts,
        "partition": partition.name if partition else "",
    }
    return Shape(folder or folder_of(kept.name), columns, facts, format, partition)


def enter(
    store: FileStore, shape: Shape, ledgers: LedgerRange, files: Iterable[KeptFile], *, new: bool
) -> None:
    """Write a range's entry; a `new` one only where there is none."""
    entry = store.create()
    try:
        entry.write(Entry(ledgers, shape.facts, tuple(files)).encode())
        entry.place(entry_path(shape.folder, ledgers), new=new)
    finally:
        entry.discard()


class RangeFiles:
    """Files on their way, until they are placed or discarded."""

    def __init__(self, store: FileStore, shape: Shape) -> None:
        self._store = store
        self._shape = shape
        self._files: dict[str, _File] = {}
        if shape.partition is None:
            self._file("")  # the file is what tells that ledgers without rows are covered

    def write(self, run: Run) -> None:
        """Append a run, sorted and spread over the folders."""
        shape = self._shape
        for folder, rows in arranged(
            run, sort_by=shape.sort_by, partition=shape.partition, block=shape.format.block
        ):
            self._file(folder).append(rows)

    def _file(self, folder: str) -> _File:
        if folder not in self._files:
            self._files[folder] = _File(self._store.create(), self._shape)
        return self._files[folder]

    def close(self, ledgers: LedgerRange) -> None:
        """End every file: they cover these ledgers."""
        facts = {
            **self._shape.facts,
            "first_ledger": str(ledgers.first),
            "last_ledger": str(ledgers.end),
        }
        for file in self._files.values():
            file.close(facts)
        # Otherwise Arrow's pool keeps what a run needed, for every thread that ever held one.
        pa.default_memory_pool().release_unused()

    def place(self, ledgers: LedgerRange) -> bool:
        """Make the range appear in one step; where another writer was first, keep its files.

        Of a table without partitions the one file is that step, of a partitioned one the entry. False where
        a file was there that nobody has proven to hold these ledgers: it gets no entry from here.
        """
        shape, whole = self._shape, self._shape.partition is None
        placed = True
        for folder, file in sorted(self._files.items()):
            placed &= file.upload.place(f"{shape.folder}/{shape.path(ledgers, folder)}", new=whole)
        if placed or not whole:
            enter(self._store, shape, ledgers, self.kept(ledgers), new=not whole)
            self._index(ledgers)
        return placed

    def replace(self, ledgers: LedgerRange) -> None:
        """Put the ended files in the place of those of their names, which have the same rows.

        In between the entry promises no bytes: whoever dies there leaves files that are read whole to be
        proven, as those of an older stellarrow, and not damage.
        """
        files = self.kept(ledgers)
        unproven = [KeptFile(one.path, 0, 0, "") for one in files]
        enter(self._store, self._shape, ledgers, unproven, new=False)
        for folder, file in sorted(self._files.items()):
            file.upload.place(f"{self._shape.folder}/{self._shape.path(ledgers, folder)}")
        enter(self._store, self._shape, ledgers, files, new=False)
        self._index(ledgers)

    def place_beside(self, ledgers: LedgerRange) -> None:
        """Put the ended files beside those of other names with the same rows; the entry names them then."""
        for folder, file in sorted(self._files.items()):
            file.upload.place(f"{self._shape.folder}/{self._shape.path(ledgers, folder)}")
        enter(self._store, self._shape, ledgers, self.kept(ledgers), new=False)

    def _index(self, ledgers: LedgerRange) -> None:
        """Write the index of what was placed: last, as all holds without it."""
        files = [*self._files.values()]
        if self._shape.is_worth_an_index(sum(file.rows for file in files)):
            path = index_path(self._shape.folder, ledgers)
            write_index(self._store, path, self._shape.schema, [file.index() for file in files])

    def kept(self, ledgers: LedgerRange) -> list[KeptFile]:
        """Return what the manifest says of the ended files."""
        return [file.kept(self._shape.path(ledgers, folder)) for folder, file in sorted(self._files.items())]

    def written(self) -> dict[str, pa.NativeFile]:
        """Open the ended files for reading, by folder."""
        return {folder: file.upload.written() for folder, file in self._files.items()}

    def discard(self) -> None:
        """Forget what was not placed; twice is harmless."""
        for file in self._files.values():
            file.discard()


class _File:
    """One file and what the manifest says of it."""

    def __init__(self, upload: Upload, shape: Shape) -> None:
        self.upload = upload
        self._footer_of = shape.format.footer
        self._footer = ""
        self._closed = False
        self._index = IndexBuilder(shape.schema) if shape.is_indexed else None
        self.rows = 0
        self._out = _Measured(upload)
        self._writing: Writing = shape.format.begin(self._out, shape.schema)

    def append(self, rows: pa.RecordBatch) -> None:
        self.rows += rows.num_rows
        self._writing.write(rows)
        if self._index and rows.num_rows:
            self._index.add(rows)

    def close(self, facts: dict[str, str]) -> None:
        self._closed = True  # also where it fails: a library must not be asked to end a file twice
        self._out.keep_rest()
        self._writing.close(facts)
        footer = self._footer_of(pa.BufferReader(self._out.rest()))
        self._footer = hashlib.sha256(footer).hexdigest() if footer else ""

    def discard(self) -> None:
        """Release everything; nothing it meets may take the place of the error that led here."""
        self._out.drop()
        if not self._closed:
            with suppress(Exception):
                self.close({})
        self.upload.discard()

    def index(self) -> FileIndex:
        """Return the index of an ended file, empty where its table has none."""
        held = self._index or IndexBuilder(pa.schema([]))
        return held.built(self._out.sha256.hexdigest())

    def kept(self, path: str) -> KeptFile:
        return KeptFile(path, self._out.bytes, self.rows, self._out.sha256.hexdigest(), self._footer)


class _Measured:
    """A file object that counts and digests what passes to an upload."""

    closed = False

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._dropped = False
        self.bytes = 0
        self.sha256 = hashlib.sha256()
        self._rest: list[bytes] | None = None

    def keep_rest(self) -> None:
        """Keep what comes from now on, too."""
        self._rest = []

    def rest(self) -> bytes:
        """Return what came since, and keep it no longer."""
        rest, self._rest = self._rest or [], None
        return b"".join(rest)

    def drop(self) -> None:
        """Take whatever still comes, and keep nothing of it."""
        self._dropped = True

    def write(self, data: Any) -> int:
        if self._dropped:
            return len(data)
        self.sha256.update(data)
        self.bytes += len(data)
        if self._rest is not None:
            self._rest.append(bytes(data))
        return self._upload.write(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The upload is placed or discarded, not closed."""
