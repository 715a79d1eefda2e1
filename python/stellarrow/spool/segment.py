"""Append-only Arrow IPC files with one index by ledger: a crash leaves what was committed, of every table.

A segment is a folder. `<table>.arrows` is an IPC stream any Arrow reader opens: the schema, then pieces.
`index` has an entry for each piece, with its place in every table's file. A piece is what one commit made
durable, or some megabytes of it: one ledger at the live edge, many in bulk. Its rows are joined once,
before they are written, so that each reader takes slices of the mapped file, and copies nothing.

Data is durable before its entry is, so an entry never promises too much. What lies behind the last whole
one of the newest segment, behind the last ledger known to be committed, is what a crash left of a commit
under way: it is written over. Anything else that is not whole is damage, and left as it is.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final
from urllib.parse import quote

import pyarrow as pa

from stellarrow.errors import SinkError
from stellarrow.spool.gathering import Gathered
from stellarrow.spool.table_file import Part, TableFile, appendable, damaged, readable
from stellarrow.storage.atomic import sync_folder, write_all
from stellarrow.storage.private import private_file, private_folder

_INDEX: Final = "index"
_MAGIC: Final = b"SAINDEX1"
_LEDGERS: Final = Struct("<IIQ")  # first, last, unix milliseconds
_PART: Final = Struct("<QQII")  # offset, length, rows, crc32 of the bytes
_CHECK: Final = Struct("<I")  # crc32 of the entry before it
_PIECE_BYTES: Final = 8 << 20  # of rows; beyond that, joining more makes no reader faster
_log: Final = logging.getLogger(__name__)


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
        self._pending: list[Entry] = []  # written, but not committed
        self._gathered = Gathered()  # appended, but not written
        self._index: BinaryIO | None = None
        self._files = [TableFile(path / _file_of(name), schema) for name, schema in schemas.items()]

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
        return self._begun.first

    @property
    def _begun(self) -> Entry | Gathered:
        written = self.entries or self._pending
        return written[0] if written else self._gathered

    @property
    def last(self) -> int:
        """The last ledger committed or appended."""
        return self._gathered.last or (self._pending or self.entries)[-1].last

    @property
    def size_bytes(self) -> int:
        return sum(file.end for file in self._files) + self._gathered.size_bytes

    @property
    def written_at(self) -> int:
        """When the first ledgers came, in unix milliseconds."""
        return self._begun.written_at

    @property
    def is_pending(self) -> bool:
        """Tell whether something waits for the next commit."""
        return bool(self._pending or self._gathered)

    def append(self, rows: Mapping[str, pa.RecordBatch], first: int, last: int, *, now: int) -> None:
        """Add the rows of ledgers, which count from the next commit on; `now` is unix milliseconds."""
        if not self._gathered.takes(rows, first):
            self._write()
        self._gathered.add({name: rows[name] for name in self._tables}, first, last, now=now)
        if self._gathered.size_bytes >= _PIECE_BYTES:
            self._write()

    def _write(self) -> None:
        """Write what is gathered as one piece."""
        piece, self._gathered = self._gathered, Gathered()
        if piece:
            parts = (
                file.append(piece.joined(name)) for name, file in zip(self._tables, self._files, strict=True)
            )
            self._pending.append(Entry(piece.first, piece.last, piece.written_at, tuple(parts)))

    def commit(self) -> None:
        """Make what was appended durable, then known."""
        self._write()
        if not self._pending:
            return
        for file in self._files:
            file.sync()
        if self._index is None:
            self._index = appendable(self.path / _INDEX, self._index_bytes)
        write_all(self._index, b"".join(entry.packed() for entry in self._pending))
        os.fdatasync(self._index.fileno())
        self.entries += self._pending
        self._pending = []

    def rollback(self) -> None:
        """Forget what was appended since the last commit; a disk that refuses writing need not be asked."""
        self._pending, self._gathered = [], Gathered()
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
        private_folder(self.path)
        for file in self._files:
            file.begin()
        self._index = private_file(self.path / _INDEX, "wb", buffering=0)
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
        flaws = map(TableFile.flaw, self._files, entry.parts)
        return next((flaw for flaw in flaws if flaw), None)

    def _no_entry(self, at: int) -> SinkError:
        size = Entry.size(len(self._tables))
        return damaged(self.path / _INDEX, len(_MAGIC) + at * size, "no whole entry is there")


def _file_of(name: str) -> str:
    """Return a table's file: a contract's table may have any name."""
    return f"{quote(name, safe='@')}.arrows"
