"""One table's rows in one file: an Arrow IPC stream, each batch with a checksum kept elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa

from stellarrow.core.checksum import crc32
from stellarrow.core.rows import no_rows
from stellarrow.errors import Damaged, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.spool.message import Messages, checksum_of, write_parts
from stellarrow.storage.atomic import write_all
from stellarrow.storage.private import private_file

_OTHER_ROWS: Final = "the checksum of the rows there is another"


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


class TableFile:
    """One table's batches in one file."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.end = 0
        self._path = path
        self._schema = schema
        self._file: BinaryIO | None = None
        self._messages = Messages()

    def begin(self) -> None:
        self._file = private_file(self._path, "wb", buffering=0)
        write_all(self._file, self._schema.serialize())
        self.end = self._file.tell()

    def resume(self, end: int) -> None:
        """Go on with a file of which so many bytes count."""
        if self._stored_bytes() < end:
            raise damaged(self._path, self._stored_bytes(), f"it ends there, and not at {end}")
        with readable(self._path), pa.OSFile(os.fspath(self._path)) as file:
            held = pa.ipc.read_schema(file)
        if not held.equals(self._schema):  # what a column is said to be may be said better
            raise SchemaMismatch(f"{self._path} was written with other columns: start a new session")
        self.end = end

    def append(self, rows: pa.RecordBatch) -> Part:
        offset = self.end
        message = self._messages.parts_of(rows) if rows.num_rows else []
        if message:
            if self._file is None:
                self._file = appendable(self._path, self.end)
            self.end += write_parts(self._file, message)
        return Part(offset, self.end - offset, rows.num_rows, checksum_of(message))

    def sync(self) -> None:
        if self._file:
            os.fdatasync(self._file.fileno())

    def cut(self) -> None:
        os.truncate(self._path, self.end)

    def flaw(self, part: Part) -> SinkError | None:
        """Say what is wrong with the rows of a part, or that not all before it is there."""
        if (stored := self._stored_bytes()) < part.end:
            return damaged(self._path, stored, f"it ends there, and not at {part.end}")
        if part.length and crc32(self._mapped(part.offset, part.end)) != part.checksum:
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
                yield no_rows(self._schema)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _rows(self, part: Part, data: pa.Buffer) -> pa.RecordBatch:
        if crc32(data) != part.checksum:  # each time: a disk may forget what it once gave
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


def appendable(path: Path, end: int) -> BinaryIO:
    """Open a file to go on at a byte; what lies behind was not committed."""
    os.truncate(path, end)
    return path.open("ab", buffering=0)


def damaged(path: Path, at: int, why: str) -> Damaged:
    return Damaged(
        f"{path} is damaged at byte {at} ({why}): nothing was changed; restore a sound copy, or begin a new"
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
            raise SinkUnavailable(f"{path} cannot be read now ({why}): fix that, and it continues") from error
        raise Damaged(
            f"{path} is damaged ({error}): nothing was changed; restore a sound copy, or start a new session"
        ) from error
