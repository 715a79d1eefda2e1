"""Append-only Arrow IPC files with one index by ledger: a crash leaves what was committed, of every table.

A segment is a folder. `<table>.arrows` is an IPC stream any Arrow reader opens: the schema, then batches as
they came. `index` has an entry for each batch of ledgers, with its place in every table's file. Data is
durable before its entry is, so an entry never promises too much. What lies behind the last whole one of the
newest segment, behind the last ledger known to be committed, is what a crash left of a commit under way: it
is written over. Anything else that is not whole is damage, and left as it is.
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

from stellarrow.errors import Damaged, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.storage.atomic import sync_folder, write_all

_INDEX: Final = "index"
_MAGIC: Final = b"SAINDEX1"
_LEDGERS: Final = Struct("<IIQ")  # first, last, unix milliseconds
_PART: Final = Struct("<QQII")  # offset, length, rows, crc32 of the bytes
_CHECK: Final = Struct("<I")  # crc32 of the entry before it
_OTHER_ROWS: Final = "the checksum of the rows there is another"
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
    def open(cls, path: Path, schemas: Mapping[str, pa.Schema], *, tail: int | None = None) -> Segment | None:
        """Open what was committed; Damaged where that is not whole, and nothing is changed.

        `tail` is of the newest alone: the last ledger of all known to be committed, behind which entries need
        not be whole. None where the newest never had a commit.
        """
        segment = cls(path, schemas)
        segment.entries = segment._committed(tail)
        if not segment.entries:
            return None
        for file, part in zip(segment._files, segment.entries[-1].parts, strict=True):
            file.resume(part.end)
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

    def _committed(self, tail: int | None) -> list[Entry]:
        path = self.path / _INDEX
        with readable(path):
            index = path.read_bytes() if path.exists() else b""
        if tail is not None and tail < int(self.path.name) and _MAGIC.startswith(index):
            return []
        if not index.startswith(_MAGIC):
            raise damaged(path, 0, f"{index[: len(_MAGIC)]!r}, not {_MAGIC!r}: another version's?")
        size = Entry.size(len(self._tables))
        slots = [index[at : at + size] for at in range(len(_MAGIC), len(index), size)]
        found = [Entry.unpacked(slot) if len(slot) == size else None for slot in slots]
        flaw = None
        while tail is not None and found and (worse := self._flaw(found[-1], len(found) - 1)):
            flaw = worse
            found.pop()
        entries = [entry for entry in found if entry]
        if len(entries) < len(found):
            raise self._no_entry(found.index(None))
        if tail is None and not entries:
            raise self._no_entry(0)
        last = entries[-1].last if entries else 0
        if tail is not None and int(self.path.name) <= tail and last < tail:
            raise flaw or self._no_entry(len(entries))
        if flaw:
            _log.warning("%s: the last %d entries were not committed whole", path, len(slots) - len(found))
        return entries

    def _flaw(self, entry: Entry | None, at: int) -> SinkError | None:
        """Say what an entry lacks; a disk may have said that it is there, or its rows, before it was true."""
        if entry is None:
            return self._no_entry(at)
        flaws = map(_TableFile.flaw, self._files, entry.parts)
        return next((flaw for flaw in flaws if flaw), None)

    def _no_entry(self, at: int) -> SinkError:
        size = Entry.size(len(self._tables))
        return damaged(self.path / _INDEX, len(_MAGIC) + at * size, "no whole entry is there")


class _TableFile:
    """One table's batches in one file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.end = 0
        self._path = path
        self._schema = schema
        self._file: BinaryIO | None = None

    def begin(self) -> None:
        self._file = self._path.open("wb", buffering=0)
        write_all(self._file, self._schema.serialize())
        self.end = self._file.tell()

    def resume(self, end: int) -> None:
        """Go on with a file of which so many bytes count."""
        if self._stored_bytes() < end:
            raise damaged(self._path, self._stored_bytes(), f"it ends there, and not at {end}")
        with readable(self._path), pa.OSFile(os.fspath(self._path)) as file:
            held = pa.ipc.read_schema(file)
        if not held.equals(self._schema):  # what a column is said to be may be said better
            raise SchemaMismatch(f"{self._path} was written with other columns: begin a new session")
        self.end = end

    def append(self, packed: Packed) -> Part:
        offset = self.end
        if packed.message.size:
            if self._file is None:
                self._file = _appendable(self._path, self.end)
            write_all(self._file, packed.message)
            self.end += packed.message.size
        return Part(offset, packed.message.size, packed.rows, packed.checksum)

    def sync(self) -> None:
        if self._file:
            os.fdatasync(self._file.fileno())

    def cut(self) -> None:
        os.truncate(self._path, self.end)

    def flaw(self, part: Part) -> SinkError | None:
        """Say what is wrong with the rows of a part, or that not all before it is there."""
        if (stored := self._stored_bytes()) < part.end:
            return damaged(self._path, stored, f"it ends there, and not at {part.end}")
        if part.length and zlib.crc32(self._mapped(part.offset, part.end)) != part.checksum:
            return damaged(self._path, part.offset, _OTHER_ROWS)
        return None

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
        if zlib.crc32(data) != part.checksum:  # each time: a disk may forget what it once gave
            raise damaged(self._path, part.offset, _OTHER_ROWS)
        with readable(self._path):
            return pa.ipc.read_record_batch(pa.ipc.read_message(data), self._schema)

    def _mapped(self, start: int, end: int) -> pa.Buffer:
        with readable(self._path), pa.memory_map(os.fspath(self._path)) as file:
            if (stored := file.size()) < end:
                raise damaged(self._path, stored, f"it ends there, and not at {end}")
            file.seek(start)
            return file.read_buffer(end - start)

    def _stored_bytes(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0


def _appendable(path: Path, end: int) -> BinaryIO:
    """Open a file to go on at a byte; what lies behind was not committed."""
    os.truncate(path, end)
    return path.open("ab", buffering=0)


def damaged(path: Path, at: int, why: str) -> Damaged:
    return Damaged(
        f"{path} is damaged at byte {at} ({why}): nothing was changed; put a sound copy back, or begin a new"
        " session"
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Translate what the file system and Arrow refuse, but for a file that is gone."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno:  # Arrow has none for what is not as it should be
            why = os.strerror(error.errno)
            raise SinkUnavailable(f"{path} cannot be read now ({why}): mend that, and it goes on") from error
        raise Damaged(
            f"{path} is damaged ({error}): nothing was changed; put a sound copy back, or begin a new session"
        ) from error
