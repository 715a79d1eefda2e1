"""Append-only Arrow IPC files with one index by ledger: a crash leaves what was committed, of every table.

A segment is a folder. `<table>.arrows` is an IPC stream any Arrow reader opens: the schema, then batches as
they came. `index` has an entry for each batch of ledgers, with its place in every table's file. Data is
durable before its entry is, so an entry never promises too much. What lies behind the last whole one of the
newest segment was not committed, and is cut; anything else that is not whole is damage, and left as it is.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

import pyarrow as pa

from stellarrow.errors import SchemaMismatch, SinkError
from stellarrow.storage.atomic import sync_folder, write_all

_INDEX: Final = "index"
_MAGIC: Final = b"SAINDEX1"
_LEDGERS: Final = Struct("<IIQ")  # first, last, unix milliseconds
_PART: Final = Struct("<QQII")  # offset, length, rows, crc32 of the bytes
_CHECK: Final = Struct("<I")  # crc32 of the entry before it
_log: Final = logging.getLogger(__name__)


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
        segment = cls(path, schemas)
        try:
            segment._begin()
        except OSError:
            segment.remove()
            raise
        return segment

    @classmethod
    def open(cls, path: Path, schemas: Mapping[str, pa.Schema], *, newest: bool) -> Segment | None:
        """Open what was committed; SinkError where that is damaged, and nothing is changed.

        The newest is cut back to its last commit; None where it never had one, and was removed.
        """
        segment = cls(path, schemas)
        segment.entries = segment._committed(newest=newest)
        if not segment.entries:
            segment.remove()
            return None
        for file, part in zip(segment._files, segment.entries[-1].parts, strict=True):
            file.resume(part.end)
        if newest:
            segment.cut()
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

    @property
    def written_at(self) -> int:
        """When the first ledgers came, in unix milliseconds."""
        return (self.entries or self._pending)[0].written_at

    @property
    def is_pending(self) -> bool:
        """Tell whether something waits for the next commit."""
        return bool(self._pending)

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
            self._index = _appendable(self.path / _INDEX, self._index_bytes)
        write_all(self._index, b"".join(entry.packed() for entry in self._pending))
        os.fdatasync(self._index.fileno())
        self.entries += self._pending
        self._pending = []

    def rollback(self) -> None:
        """Forget what was appended since the last commit; a disk that refuses writing need not be asked."""
        self._pending = []
        self.close()
        for file, part in zip(self._files, self.entries[-1].parts, strict=True):
            file.end = part.end

    def cut(self) -> None:
        """Close the files behind the last commit; nothing may be pending."""
        self.close()
        os.truncate(self.path / _INDEX, self._index_bytes)
        for file in self._files:
            file.cut()

    def read(self, table: str, *, after: int) -> Iterator[tuple[Entry, pa.RecordBatch]]:
        """Yield committed entries with ledgers behind one, and a table's rows of each, without a copy.

        FileNotFoundError where the segment was removed before.
        """
        at = self._tables.index(table)
        wanted = self.entries[bisect_right(self.entries, after, key=attrgetter("last")) :]
        if wanted:
            yield from zip(wanted, self._files[at].read([one.parts[at] for one in wanted]), strict=True)

    def close(self) -> None:
        """Close the files; appending opens them again."""
        if self._index:
            self._index.close()
            self._index = None
        for file in self._files:
            file.close()

    def remove(self) -> None:
        """Delete the files; who has them mapped reads on."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def _index_bytes(self) -> int:
        return len(_MAGIC) + len(self.entries) * Entry.size(len(self._tables))

    def _begin(self) -> None:
        self.path.mkdir(parents=True)
        for file in self._files:
            file.begin()
        self._index = (self.path / _INDEX).open("wb", buffering=0)
        write_all(self._index, _MAGIC)
        os.fdatasync(self._index.fileno())
        sync_folder(self.path)
        sync_folder(self.path.parent)

    def _committed(self, *, newest: bool) -> list[Entry]:
        path = self.path / _INDEX
        index = path.read_bytes() if path.exists() else b""
        if newest and _MAGIC.startswith(index):
            return []
        if not index.startswith(_MAGIC):
            raise _damaged(path, 0, f"{index[: len(_MAGIC)]!r}, not {_MAGIC!r}: another version's?")
        size = Entry.size(len(self._tables))
        slots = [index[at : at + size] for at in range(len(_MAGIC), len(index), size)]
        found = [Entry.unpacked(slot) if len(slot) == size else None for slot in slots]
        while newest and found and not self._is_whole(found[-1]):
            found.pop()
        if len(found) < len(slots):
            _log.warning("%s: the last %d entries were not committed whole", path, len(slots) - len(found))
        entries = [entry for entry in found if entry]
        if len(entries) < len(found):
            raise _damaged(path, len(_MAGIC) + found.index(None) * size, "no whole entry is there")
        return entries

    def _is_whole(self, entry: Entry | None) -> bool:
        """Tell whether entry and rows are there; a disk may have said so of either before it was true."""
        return entry is not None and all(map(_TableFile.holds, self._files, entry.parts))


class _TableFile:
    """One table's batches in one file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.end = 0
        self._path = path
        self._schema = schema
        self._file: BinaryIO | None = None
        self._sound: set[int] = set()  # offsets that were written here, or whose checksum was right

    def begin(self) -> None:
        self._file = self._path.open("wb", buffering=0)
        write_all(self._file, self._schema.serialize())
        self.end = self._file.tell()

    def resume(self, end: int) -> None:
        """Go on with a file of which so many bytes count."""
        if self._stored_bytes() < end:
            raise _damaged(self._path, self._stored_bytes(), f"it ends there, and not at {end}")
        with _readable(self._path), pa.OSFile(os.fspath(self._path)) as file:
            held = pa.ipc.read_schema(file)
        if not held.equals(self._schema, check_metadata=True):
            raise SchemaMismatch(f"{self._path} was written with other columns: begin a new session")
        self.end = end

    def append(self, packed: Packed) -> Part:
        offset = self.end
        if packed.message.size:
            if self._file is None:
                self._file = _appendable(self._path, self.end)
            write_all(self._file, packed.message)
            self.end += packed.message.size
            self._sound.add(offset)
        return Part(offset, packed.message.size, packed.rows, packed.checksum)

    def sync(self) -> None:
        if self._file:
            os.fdatasync(self._file.fileno())

    def cut(self) -> None:
        os.truncate(self._path, self.end)

    def holds(self, part: Part) -> bool:
        """Tell whether the rows of a part, and all before it, are there, and these as they were written."""
        if self._stored_bytes() < part.end:
            return False
        return not part.length or self._is_sound(part, self._mapped(part.offset, part.end))

    def read(self, parts: Sequence[Part]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of consecutive parts; they keep the file mapped, but not open."""
        start = parts[0].offset
        mapped = self._mapped(start, parts[-1].end)
        for part in parts:
            if part.rows:
                yield self._rows(part, mapped.slice(part.offset - start, part.length))
            else:
                yield pa.RecordBatch.from_pylist([], schema=self._schema)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _rows(self, part: Part, data: pa.Buffer) -> pa.RecordBatch:
        if not self._is_sound(part, data):
            raise _damaged(self._path, part.offset, "the checksum of the rows there is another")
        with _readable(self._path):
            return pa.ipc.read_record_batch(pa.ipc.read_message(data), self._schema)

    def _is_sound(self, part: Part, data: pa.Buffer) -> bool:
        if part.offset not in self._sound and zlib.crc32(data) == part.checksum:
            self._sound.add(part.offset)
        return part.offset in self._sound

    def _mapped(self, start: int, end: int) -> pa.Buffer:
        with _readable(self._path), pa.memory_map(os.fspath(self._path)) as file:
            file.seek(start)
            data = file.read_buffer(end - start)
        if data.size < end - start:
            raise _damaged(self._path, start + data.size, f"it ends there, and not at {end}")
        return data

    def _stored_bytes(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def _appendable(path: Path, end: int) -> BinaryIO:
    """Open a file to go on at a byte; what lies behind was not committed."""
    os.truncate(path, end)
    return path.open("ab", buffering=0)


def _damaged(path: Path, at: int, why: str) -> SinkError:
    return SinkError(
        f"{path} is damaged at byte {at} ({why}): nothing was changed; put a sound copy back, or begin a new"
        " session"
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Translate what the file system and Arrow refuse, but for a file that is gone."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise SinkError(
            f"{path} cannot be read ({error}): mend it, put a sound copy back, or begin a new session"
        ) from error
