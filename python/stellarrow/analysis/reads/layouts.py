"""Where in a Parquet file the columns of each row group lie, as footers said that were read lately.

A layout is of the footer with this digest, so that no other file is ever read by it.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from stellarrow.core.few_rows import Chunk, Terms, few_rows
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.formats.parquet import ledger_runs

MOST_BYTES: Final = 32 << 20
_FEW: Final = 8  # of so many rows one: where it is more, Arrow decodes all of them as fast
_EACH: Final = 400  # bytes of a column, beside its places
_MICROSECONDS: Final = "timeUnit=microseconds"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the core reads it: its type, and where its pages lie in each row group."""

    field: pa.Field
    physical: str
    length: int
    codec: str
    starts: array[int]
    sizes: array[int]

    def chunk(self, group: int, start: int) -> Chunk:
        """Describe a row group's pages in bytes that begin at `start` of the file."""
        place, size = self.starts[group] - start, self.sizes[group]
        return place, size, self.physical, self.length, self.field.nullable, self.codec


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's row groups: their rows and ledgers, the runs they make up, and the columns that are known.

    `unknown` are columns that only Arrow reads; what is in neither the file has not.
    """

    rows: array[int]
    runs: tuple[tuple[int, ...], ...]
    ledgers: tuple[LedgerRange, ...]
    columns: dict[str, Column] = field(repr=False)
    unknown: frozenset[str]

    def few(self, file: pa.NativeFile, group: int, schema: pa.Schema, terms: Terms) -> pa.RecordBatch | None:
        """Return the rows of a row group that terms of columns' places are true of; None as of few_rows()."""
        held = [self.columns.get(one.name) for one in schema]
        there = [one for one in held if one]
        start = min((one.starts[group] for one in there), default=0)
        end = max((one.starts[group] + one.sizes[group] for one in there), default=0)
        chunks = [one.chunk(group, start) if one else None for one in held]
        rows = self.rows[group]
        file.seek(start)
        size = end - start
        if (held_bytes := file.read_buffer(size)).size < size:
            return None  # it ends early
        data = pa.Array.from_buffers(pa.uint8(), size, [None, held_bytes])
        return few_rows(data, schema, chunks, rows, terms, most=max(1, rows // _FEW))

    def knows(self, schema: pa.Schema) -> bool:
        """Tell whether few() may be asked for columns: each is read as the table has it, or null."""
        return bool(self.columns.keys() & {*schema.names}) and all(
            self.columns[one.name].field.type == one.type
            if one.name in self.columns
            else one.name not in self.unknown
            for one in schema
        )

    @property
    def size_bytes(self) -> int:
        return sum(_EACH + 16 * len(self.rows) for _ in self.columns)


class Layouts:
    """Layouts by digests of footers; so many bytes of them are kept at most. Any thread may ask."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Layout] = OrderedDict()
        self._bytes = 0

    def of(self, footer: str, file: pa.NativeFile) -> Layout | None:
        """Return the layout of a file whose footer has this digest; None where nothing tells."""
        if not footer:
            return None
        with self._lock:
            if footer in self._held:
                self._held.move_to_end(footer)
                return self._held[footer]
        found = layout_of(pq.read_metadata(file))
        with self._lock:
            if footer not in self._held:
                self._held[footer] = found
                self._bytes += found.size_bytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._held.popitem(last=False)[1].size_bytes
        return found

    @property
    def size_bytes(self) -> int:
        return self._bytes


def layout_of(held: pq.FileMetaData) -> Layout:
    """Read a layout from a footer; ValueError as of ledger_runs()."""
    groups = [held.row_group(at) for at in range(held.num_row_groups)]
    schema = held.schema.to_arrow_schema()
    at = schema.names.index("ledger_sequence")
    bounds = [group.column(at).statistics for group in groups]
    runs = tuple(tuple(run) for _, _, run in ledger_runs(held))
    columns = {one.field.name: one for one in _columns(held, groups, schema)}
    return Layout(
        array("q", [group.num_rows for group in groups]),
        runs,
        tuple(LedgerRange(one.min, one.max) if one and one.has_min_max else LedgerRange(0) for one in bounds),
        columns,
        frozenset(schema.names) - columns.keys(),
    )


def _columns(
    held: pq.FileMetaData, groups: Sequence[pq.RowGroupMetaData], schema: pa.Schema
) -> Iterator[Column]:
    for at in range(held.num_columns):
        told = held.schema.column(at)
        # A timestamp may be stored in another unit than the one it is read in.
        is_moment = told.name in schema.names and pa.types.is_timestamp(schema.field(told.name).type)
        if told.path not in schema.names or told.max_repetition_level or told.max_definition_level > 1:
            continue
        if is_moment and _MICROSECONDS not in str(told.logical_type):
            continue
        chunks = [group.column(at) for group in groups]
        codecs = {one.compression for one in chunks}
        if len(codecs) == 1:
            one = schema.field(told.path).with_nullable(told.max_definition_level == 1)
            starts = array("q", map(_start, chunks))
            sizes = array("q", [chunk.total_compressed_size for chunk in chunks])
            yield Column(one, told.physical_type, told.length, codecs.pop(), starts, sizes)


def _start(chunk: pq.ColumnChunkMetaData) -> int:
    first: int = chunk.data_page_offset
    return min(first, chunk.dictionary_page_offset) if chunk.has_dictionary_page else first
