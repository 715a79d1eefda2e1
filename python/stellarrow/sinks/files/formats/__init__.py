"""What a file is made of: one object a format, all alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import pyarrow as pa

from stellarrow.errors import ConfigError, nearest

_BUFFER: Final = 1 << 20  # bytes


class Writing(Protocol):
    """A file being written."""

    def write(self, rows: pa.RecordBatch) -> None:
        """Append a block of rows, in their order; of those that were sorted, long texts are dictionaries."""

    def close(self, facts: Mapping[str, str]) -> None:
        """End the file; it tells the facts where its format can."""


class Format(Protocol):
    """Turns rows into a file's bytes and back."""

    name: str
    codec: str
    suffix: str  # of what it writes
    suffixes: tuple[str, ...]  # of all that it reads: lines may have been compressed since they were written
    takes_dictionaries: bool  # whether rows may come with texts that repeat as dictionaries
    block: int | None  # rows that are written at once; None where that does not show in the bytes

    def sort_by(self, schema: pa.Schema) -> str | None:
        """Name the column by which rows of a run are sorted, if that serves a reader of this format."""

    def begin(self, out: Any, schema: pa.Schema) -> Writing:
        """Begin a file on an object that takes bytes by its write."""

    def read(
        self, file: pa.NativeFile, schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield exactly the rows that were written, in ledger order, in pieces of whole ledgers.

        Where columns are named, ledger_sequence among them, only those.
        Bytes that are no such file raise ValueError, OSError or pa.ArrowException.
        """

    def facts(self, file: pa.NativeFile) -> dict[str, str]:
        """Return what a file that no manifest knows tells of itself; nothing where the format cannot.

        Where reading such a file could end the process, it is read in another one first. Errors as of `read`.
        """

    def footer(self, file: pa.NativeFile) -> bytes:
        """Return what a reader of parts parses before any checksum; nothing where it reads a file whole."""


def buffered(out: Any) -> pa.NativeFile:
    """Wrap a thing to write to, so that Python's lock is taken for a megabyte and not for each page."""
    return pa.BufferedOutputStream(pa.PythonFile(out, mode="w"), _BUFFER)


def codec_of(codec: str | None, suffixes: Mapping[str, str], named: str) -> tuple[str, str]:
    """Return a codec's name and suffix, or say which there are."""
    name = (codec or next(iter(suffixes))).lower()
    if name not in suffixes:
        remedy = nearest(name, suffixes, f"choose {', '.join(suffixes)}")
        raise ConfigError(f"{named} files have no codec {codec!r}: {remedy}")
    return name, suffixes[name]
