"""Runs: rows of whole ledgers, as many as fit in memory, put in the order a file keeps them in.

A reader that looks for one contract has to read of every run what holds it, so runs that are sorted are long.

Where a run ends depends on the rows alone, counted from the file's first: neither on how they arrived nor on
what was written when. So the same ledgers make the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.gathering import Gathered, Gatherer, text_size
from stellarrow.core.rows import imported, no_rows
from stellarrow.sinks.files.dictionaries import decoded, encoded_schema
from stellarrow.sinks.files.layout import Partition

_BLOCK: Final = 16_384  # rows that are read back at once
_FEW: Final = 4_096  # rows; batches of fewer are joined, as each costs more than its rows


@dataclass(frozen=True, slots=True)
class Length:
    """A run ends with the first ledger that reaches either bound; `text` is bytes."""

    rows: int
    text: int


SORTED: Final = Length(rows=262_144, text=96 << 20)
AS_IT_COMES: Final = Length(rows=65_536, text=24 << 20)
_AT_ONCE: Final = Length(rows=_FEW, text=2 << 20)


class Run:
    """Rows of whole ledgers: gathered where they are to be sorted, or as they came, in ledger order."""

    def __init__(self, schema: pa.Schema, rows: Gathered | Sequence[pa.RecordBatch]) -> None:
        self.schema = schema
        self._rows = rows

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        rows = self._rows
        return rows.num_rows if isinstance(rows, Gathered) else sum(one.num_rows for one in rows)

    def batch(self, names: Sequence[str] | None = None) -> pa.RecordBatch:
        """Return the rows in one piece, of all columns or some; long texts may be dictionaries."""
        names = [*(names or self.schema.names)]
        if isinstance(self._rows, Gathered):
            return self._rows.batch(names)
        chosen = pa.schema([self.schema.field(name) for name in names])
        return _joined([one.select(names) for one in self._rows], chosen)

    def column(self, name: str) -> pa.Array:
        """Return a column of all rows."""
        return self.batch([name]).column(0)

    def gathered(self) -> Gathered:
        """Return the rows so that they can be put in another order."""
        if isinstance(self._rows, Gathered):
            return self._rows
        gatherer = Gatherer(self.schema)
        for one in self._rows:
            gatherer.append(one)
        return gatherer.take()

    def blocks(self, rows: int | None) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they came, so many at once; where that is None, about as they lie."""
        if isinstance(self._rows, Gathered):
            held: Sequence[pa.RecordBatch] = [self._rows.batch()]
        else:
            held = self._rows
        waiting: list[pa.RecordBatch] = []
        count = 0
        for batch in held:
            rest = batch
            while rest.num_rows:
                part = rest.slice(0, rows - count) if rows else rest
                waiting.append(part)
                count += part.num_rows
                rest = rest.slice(part.num_rows)
                if count >= (rows or _FEW):
                    yield _joined(waiting, self.schema)
                    waiting, count = [], 0
        if waiting:
            yield _joined(waiting, self.schema)


class Runs:
    """Rows in, in ledger order; runs out. Of those to be sorted, long texts are dictionaries."""

    def __init__(self, schema: pa.Schema, *, sort_by: str | None, at_once: bool = False) -> None:
        """Make runs that are short where rows are to be written `at_once`: it must not show in the bytes."""
        self._schema = encoded_schema(schema) if sort_by else schema
        self._gatherer = Gatherer(self._schema, sort_by=sort_by) if sort_by else None
        self._length = SORTED if sort_by else _AT_ONCE if at_once else AS_IT_COMES
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0
        self._text = 0

    def add(self, rows: Any) -> Iterator[Run]:
        """Take rows of whole ledgers, texts plain or in dictionaries, and yield the runs they complete.

        They may be as the core made them: most batches complete no run, and go back to it.
        """
        rows = rows if self._gatherer else decoded(imported(rows), self._schema)
        while rows.num_rows and not self._fits(rows):
            rows = imported(rows)
            ends = pc.run_end_encode(rows.column("ledger_sequence")).run_ends.to_pylist()
            stop = ends[bisect_left(ends, True, key=lambda end: self._fills(end, text_size(rows[:end])))]
            self._keep(rows[:stop])
            yield self.rest()
            rows = rows[stop:]

    def rest(self) -> Run:
        """Return the rows that complete no run."""
        rows = self._gatherer.take() if self._gatherer else self._batches
        self._batches = []
        self._rows = self._text = 0
        return Run(self._schema, rows)

    def _fills(self, rows: int, text: int) -> bool:
        return self._rows + rows >= self._length.rows or self._text + text >= self._length.text

    def _fits(self, rows: Any) -> bool:
        """Keep rows, unless they complete a run."""
        if self._gatherer:
            room = self._length.rows - self._rows, self._length.text - self._text
            text = self._gatherer.fit(rows, count=room[0], text=room[1])
        elif self._fills(rows.num_rows, size := text_size(rows)):
            text = None
        else:
            self._batches.append(rows)
            text = size
        if text is None:
            return False
        self._rows += rows.num_rows
        self._text += text
        return True

    def _keep(self, rows: pa.RecordBatch) -> None:
        if self._gatherer:
            self._gatherer.append(rows)
        else:
            self._batches.append(rows)


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if len(batches) < 2:
        return batches[0] if batches else no_rows(schema)
    return pa.concat_batches(batches)


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
    run: Run, *, sort_by: str | None, partition: Partition | None, block: int | None
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield a run's rows folder by folder, so many at once, sorted by a column where one is named.

    Ties stay in order. Where `block` is None, rows that are neither sorted nor divided come as they lie.
    """
    if sort_by is None and partition is None:
        yield from (("", rows) for rows in run.blocks(block))
        return
    places, folders = partition.folders(run.column(partition.column)) if partition else (None, [""])
    for place, rows in run.gathered().arranged(sort_by, places, block or _BLOCK):
        yield folders[place], rows
