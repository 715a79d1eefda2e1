"""Append-only Arrow IPC files with one index by ledger: a crash leaves what was committed, of every table.

A segment is a folder. `<table>.arrows` is an IPC stream any Arrow reader opens: the schema, then batches as
they came. `index` has an entry for each batch of ledgers, with its place in every table's file. Data is
durable before its entry is, so an entry never promises too much; what lies behind the last whole one was not
committed.
"""

from __future__ import annotations

import os
import shutil
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

import pyarrow as pa

from stellarrow.errors import SchemaMismatch, SinkError

_INDEX: Final = "index"
_MAGIC: Final = b"SAINDEX1"
_LEDGERS: Final = Struct("<IIQ")  # first, last, unix milliseconds
_PART: Final = Struct("<QQII")  # offset, length, rows, crc32 of the bytes
_CHECK: Final = Struct("<I")  # crc32 of the entry before it


@dataclass(frozen=True, slots=True)
class Part:
    """Where the rows of one table lie in its file, in bytes."""

    offset: int
    length: int
    rows: int
    checksum: int

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows as they are stored; making them takes most of the time that appending them does."""

    message: pa.Buffer
    rows: int
    checksum: int

    @classmethod
    def of(cls, rows: pa.RecordBatch) -> Packed:
        message = rows.serialize() if rows.num_rows else pa.py_buffer(b"")
        return cls(message, rows.num_rows, zlib.crc32(message))


@dataclass(frozen=True, slots=True)
class Entry:
    """Consecutive ledgers written together, when (unix ms), and their part of every table's file."""

    first: int
    last: int
    written_at: int
    parts: tuple[Part, ...]

    @staticmethod
    def size(tables: int) -> int:
        return _LEDGERS.size + tables * _PART.size + _CHECK.size

    def packed(self) -> bytes:
        data = _LEDGERS.pack(self.first, self.last, self.written_at) + b"".join(
            _PART.pack(part.offset, part.length, part.rows, part.checksum) for part in self.parts
        )
        return data + _CHECK.pack(zlib.crc32(data))

    @classmethod
    def unpacked(cls, data: bytes) -> Entry | None:
        """Return the entry, or None where the bytes are none."""
        body, check = data[: -_CHECK.size], data[-_CHECK.size :]
        if _CHECK.pack(zlib.crc32(body)) != check:
            return None
        parts = tuple(Part(*fields) for fields in _PART.iter_unpack(body[_LEDGERS.size :]))
        first, last, written_at = _LEDGERS.unpack_from(body)
        return cls(first, last, written_at, parts)


class Segment:
    """Batches in ledger order. One thread appends; any number read what is committed."""

    def __init__(self, path: Path, schemas: Mapping[str, pa.Schema]) -> None:
        self.path = path
        self.entries: list[Entry] = []  # committed; only ever grows
        self._tables = list(schemas)
        self._pending: list[Entry] = []
        self._index: BinaryIO | None = None
        self._files = [_TableFile(path / f"{name}.arrows", schema) for name, schema in schemas.items()]

    @classmethod
    def create(cls, path: Path, schemas: Mapping[str, pa.Schema]) -> Segment:
        """Begin an empty segment; it is there from its first commit on."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        segment = cls(path, schemas)
        for file in segment._files:
            file.begin()
        segment._index = (path / _INDEX).open("wb", buffering=0)
        write_all(segment._index, _MAGIC)
        sync_folder(path)
        sync_folder(path.parent)
        return segment

    @classmethod
    def open(cls, path: Path, schemas: Mapping[str, pa.Schema]) -> Segment | None:
        """Open a segment, cut back to its last commit; None where it never had one, and was removed."""
        segment = cls(path, schemas)
        segment.entries = segment._committed()
        if not segment.entries:
            segment.remove()
            return None
        for file in segment._files:
            file.check_schema()
        segment._cut()
        return segment

    @property
    def first(self) -> int:
        """The first ledger committed or appended."""
        return (self.entries or self._pending)[0].first

    @property
    def last(self) -> int:
        """The last ledger committed or appended."""
        return (self._pending or self.entries)[-1].last

    @property
    def size_bytes(self) -> int:
        return sum(file.end for file in self._files)

    def append(self, packed: Mapping[str, Packed], first: int, last: int, *, now: int) -> None:
        """Add the rows of ledgers, which count from the next commit on; `now` is unix milliseconds."""
        parts = tuple(file.append(packed[name]) for name, file in zip(self._tables, self._files, strict=True))
        self._pending.append(Entry(first, last, now, parts))

    def commit(self) -> None:
        """Make what was appended durable, then known."""
        if not self._pending:
            return
        for file in self._files:
            file.sync()
        if self._index is None:
            self._index = (self.path / _INDEX).open("ab", buffering=0)
        write_all(self._index, b"".join(entry.packed() for entry in self._pending))
        os.fdatasync(self._index.fileno())
        self.entries += self._pending
        self._pending = []

    def rollback(self) -> None:
        """Forget what was appended since the last commit."""
        self._pending = []
        self._cut()

    def read(self, table: str, at: int) -> pa.RecordBatch:
        """Return a table's rows of a committed entry, without copying them."""
        return self._files[self._tables.index(table)].read(self.entries[at].parts[self._tables.index(table)])

    def close(self) -> None:
        """Close the files; reading and appending open them again."""
        if self._index:
            self._index.close()
            self._index = None
        for file in self._files:
            file.close()

    def remove(self) -> None:
        """Delete the files; who has them mapped reads on."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def _cut(self) -> None:
        self.close()
        os.truncate(self.path / _INDEX, len(_MAGIC) + len(self.entries) * Entry.size(len(self._tables)))
        for at, file in enumerate(self._files):
            file.cut(self.entries[-1].parts[at].end if self.entries else None)

    def _committed(self) -> list[Entry]:
        """Return the entries up to the first that is not whole, or whose rows are not all there."""
        try:
            index = (self.path / _INDEX).read_bytes()
        except FileNotFoundError:
            return []
        if not index.startswith(_MAGIC):
            return []
        sizes = [file.stored_bytes() for file in self._files]
        size = Entry.size(len(self._tables))
        entries: list[Entry] = []
        for at in range(len(_MAGIC), len(index) - size + 1, size):
            entry = Entry.unpacked(index[at : at + size])
            if entry is None or any(p.end > held for p, held in zip(entry.parts, sizes, strict=True)):
                break
            entries.append(entry)
        # What the last commit wrote may be torn even so, where a disk says it is done before it is.
        while entries and not all(map(_TableFile.is_sound, self._files, entries[-1].parts)):
            entries.pop()
        return entries


class _TableFile:
    """One table's batches in one file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.end = 0
        self._path = path
        self._schema = schema
        self._file: BinaryIO | None = None
        self._map: pa.MemoryMappedFile | None = None
        self._mapping = threading.Lock()
        self._sound: set[int] = set()  # offsets whose checksum was seen to be right

    def begin(self) -> None:
        self._file = self._path.open("wb", buffering=0)
        write_all(self._file, self._schema.serialize())
        self.end = self._file.tell()

    def check_schema(self) -> None:
        with pa.OSFile(os.fspath(self._path)) as file:
            held = pa.ipc.read_schema(file)
        if not held.equals(self._schema, check_metadata=True):
            raise SchemaMismatch(f"{self._path} was written with other columns: begin a new session")

    def append(self, packed: Packed) -> Part:
        offset = self.end
        if packed.message.size:
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            write_all(self._file, packed.message)
            self.end += packed.message.size
        return Part(offset, packed.message.size, packed.rows, packed.checksum)

    def sync(self) -> None:
        if self._file:
            os.fdatasync(self._file.fileno())

    def cut(self, end: int | None) -> None:
        """Let the file end here; None is behind the schema."""
        self.end = self._schema.serialize().size if end is None else end
        os.truncate(self._path, self.end)

    def stored_bytes(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def is_sound(self, part: Part) -> bool:
        return part.offset in self._sound or zlib.crc32(self._bytes(part)) == part.checksum

    def read(self, part: Part) -> pa.RecordBatch:
        if not part.rows:
            return pa.RecordBatch.from_pylist([], schema=self._schema)
        if not self.is_sound(part):
            raise SinkError(f"{self._path} is damaged at byte {part.offset}: begin the session anew")
        self._sound.add(part.offset)
        return pa.ipc.read_record_batch(pa.ipc.read_message(self._bytes(part)), self._schema)

    def _bytes(self, part: Part) -> pa.Buffer:
        with self._mapping:
            if self._map is None or self._map.size() < part.end:
                self._map = pa.memory_map(os.fspath(self._path))
            self._map.seek(part.offset)
            return self._map.read_buffer(part.length)

    def close(self) -> None:
        with self._mapping:
            self._map = None
        if self._file:
            self._file.close()
            self._file = None


def write_all(file: BinaryIO, data: bytes | pa.Buffer) -> None:
    """Write all of it: a raw file may take a part."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
