"""Runs: rows of whole ledgers, as many as fit in memory, put in the order a file keeps them in.

A reader that looks for one contract has to read of every run what holds it, so runs that are sorted are long.

Where a run ends depends on the rows alone, counted from the file's first: neither on how they arrived nor on
what was written when. So the same ledgers make the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack_from
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.rows import no_rows
from stellarrow.sinks.files.dictionaries import decoded, encoded, ranks
from stellarrow.sinks.files.layout import Partition

_LOOSE: Final = 64  # batches; those of few rows cost more than their rows
_BLOCK: Final = 16_384  # rows that are joined before their texts become dictionaries


@dataclass(frozen=True, slots=True)
class Length:
    """A run ends with the first ledger that reaches either bound; `text` is bytes."""

    rows: int
    text: int


SORTED: Final = Length(rows=262_144, text=96 << 20)
AS_IT_COMES: Final = Length(rows=65_536, text=24 << 20)


class Runs:
    """Rows in, in ledger order; runs out. Of those to be sorted, long texts are dictionaries."""

    def __init__(self, schema: pa.Schema, *, sort_by: str | None) -> None:
        self._schema = schema
        self._sorted = sort_by is not None
        self._length = SORTED if self._sorted else AS_IT_COMES
        self._blocks: list[pa.RecordBatch] = []
        self._loose: list[pa.RecordBatch] = []
        self._loose_rows = 0
        self._rows = 0
        self._text = 0

    def add(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take rows of whole ledgers, and yield the runs they complete."""
        while rows.num_rows:
            text = _text_size(rows)
            if not self._fills(rows.num_rows, text):
                self._keep(rows, text)
                return
            ends = pc.run_end_encode(rows.column("ledger_sequence")).run_ends.to_pylist()
            stop = ends[bisect_left(ends, True, key=lambda end: self._fills(end, _text_size(rows[:end])))]
            self._keep(rows[:stop], text)
            yield self.rest()
            rows = rows[stop:]

    def rest(self) -> pa.RecordBatch:
        """Return the rows that complete no run."""
        if self._blocks and self._loose:
            self._gather()
        run = _joined(self._blocks or self._loose, self._schema)
        self._loose_rows = self._rows = self._text = 0
        return run

    def _fills(self, rows: int, text: int) -> bool:
        return self._rows + rows >= self._length.rows or self._text + text >= self._length.text

    def _keep(self, rows: pa.RecordBatch, text: int) -> None:
        self._loose.append(rows)
        self._loose_rows += rows.num_rows
        self._rows += rows.num_rows
        self._text += text
        if len(self._loose) >= _LOOSE or (self._sorted and self._loose_rows >= _BLOCK):
            self._gather()

    def _gather(self) -> None:
        block = _joined(self._loose, self._schema)
        self._loose_rows = 0
        self._blocks.append(encoded(block) if self._sorted else block)


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    """Empty a list of batches into one, column by column, so that no more than one is there twice."""
    if len(batches) < 2:
        return batches.pop() if batches else no_rows(schema)
    schema = batches[0].schema
    columns = [[batch.column(at) for batch in batches] for at in range(len(schema))]
    batches.clear()
    whole = []
    while columns:
        whole.append(pa.chunked_array(columns.pop(0)).combine_chunks())
    return pa.RecordBatch.from_arrays(whole, schema=schema)


def _text_size(rows: pa.RecordBatch) -> int:
    size = 0
    for column in rows.columns:
        texts = column.flatten() if pa.types.is_list(column.type) else column
        if len(texts) and (pa.types.is_string(texts.type) or pa.types.is_binary(texts.type)):
            # The offsets' ends tell the same as adding up every length.
            offsets = texts.buffers()[1]
            first, last = (unpack_from("=i", offsets, 4 * (texts.offset + at))[0] for at in (0, len(texts)))
            size += last - first
    return size


def in_ledger_order(run: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Undo `arranged`, in pieces of whole ledgers; rows of one ledger and contract never changed places."""
    order = pc.sort_indices(run.column("ledger_sequence"))
    ends = pc.run_end_encode(run.column("ledger_sequence").take(order)).run_ends.to_pylist()
    start = 0
    for end in ends:
        if end - start >= _BLOCK or end == run.num_rows:
            yield decoded(run.take(order[start:end]), schema)
            start = end


def arranged(
    run: pa.RecordBatch, *, sort_by: str | None, partition: Partition | None, block: int
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield a run's rows folder by folder, so many at once, sorted by a column where one is named.

    Ties stay in order. What is taken at once is small, so that the same memory is used over and over.
    """
    if sort_by is None and partition is None:
        for start in range(0, run.num_rows, block):
            yield "", run.slice(start, block)
        return
    folders, keys = [""], {}
    if partition:
        keys["place"], folders = partition.folders(run)
    if sort_by:
        keys["rank"] = ranks(run.column(sort_by))
    by = [(name, "ascending") for name in keys]
    order = pc.sort_indices(pa.RecordBatch.from_pydict(keys), sort_keys=by)
    ends = pc.run_end_encode(keys["place"].take(order)).run_ends.to_pylist() if partition else [len(order)]
    start = 0
    for folder, end in zip(folders, ends, strict=True):
        for at in range(start, end, block):
            yield folder, run.take(order[at : min(at + block, end)])
        start = end
