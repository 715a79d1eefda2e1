"""Rows as the message that a spool stores and Arrow's readers take, written from where they lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO, Final, TypeAlias

import pyarrow as pa

from stellarrow.core.checksum import crc32

Bytes: TypeAlias = bytes | pa.Buffer
_AT_ONCE: Final = 1_024  # parts a call takes: IOV_MAX of Linux


class _Parts:
    """What Arrow takes for a file in Python; it keeps what is written as it was given."""

    closed = False

    def __init__(self) -> None:
        self.held: list[Bytes] = []

    def write(self, part: Bytes) -> int:
        self.held.append(part)
        return len(part)

    def flush(self) -> None:
        """Do nothing: all is here."""

    def close(self) -> None:
        """Do nothing: what is held outlives the file."""


class Messages:
    """Makes messages of one table's rows."""

    def __init__(self) -> None:
        self._parts = _Parts()
        self._schema: pa.Schema | None = None

    def parts_of(self, rows: pa.RecordBatch) -> list[Bytes]:
        """Return what `rows.serialize()` does, in parts: columns as they lie in memory, without a copy."""
        if self._schema is None or not rows.schema.equals(self._schema):
            self._schema = rows.schema
            self._writer = pa.ipc.new_stream(pa.PythonFile(self._parts, "w"), self._schema)
            self._writer.write_batch(rows.slice(0, 0))  # the schema comes with the first
        self._parts.held = []
        self._writer.write_batch(rows)
        held, self._parts.held = self._parts.held, []
        return held


def checksum_of(parts: Sequence[Bytes]) -> int:
    """Return the checksum of parts that follow each other."""
    answer = 0
    for part in parts:
        answer = crc32(part, answer)
    return answer


def write_parts(file: BinaryIO, parts: Sequence[Bytes]) -> int:
    """Write all of them to a raw file, in few calls, and return how many bytes that are."""
    left = [view for part in parts if (view := memoryview(part))]
    size = sum(view.nbytes for view in left)
    while left:
        taken = os.writev(file.fileno(), left[:_AT_ONCE])
        while left and taken >= left[0].nbytes:
            taken -= left.pop(0).nbytes
        if taken:
            left[0] = left[0][taken:]
    return size
