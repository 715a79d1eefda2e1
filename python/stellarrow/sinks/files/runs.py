"""Runs: rows of whole ledgers, as many as fit in memory, put in the order a file keeps them in.

Where a run ends depends on the rows alone, counted from the file's first: neither on how they arrived nor on
what was written when. So the same ledgers make the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from struct import unpack_from
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.layout import Partition

# A run ends with the first ledger that reaches either bound.
_ROWS: Final = 65_536
_TEXT: Final = 24 << 20  # bytes of text, which is nearly all there is
_LOOSE: Final = 64  # batches; a batch of few rows costs more than its rows


class Runs:
    """Rows in, in ledger order; runs out."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._loose: list[pa.RecordBatch] = []
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
            self._loose.append(rows[:stop])
            yield self.rest()
            rows = rows[stop:]

    def rest(self) -> pa.RecordBatch:
        """Return the rows that complete no run."""
        run = _joined(self._loose, self._schema)
        self._loose, self._rows, self._text = [], 0, 0
        return run

    def _fills(self, rows: int, text: int) -> bool:
        return self._rows + rows >= _ROWS or self._text + text >= _TEXT

    def _keep(self, rows: pa.RecordBatch, text: int) -> None:
        self._loose.append(rows)
        self._rows += rows.num_rows
        self._text += text
        if len(self._loose) > _LOOSE and self._rows // len(self._loose) < _LOOSE:
            self._loose = [_joined(self._loose, self._schema)]


def _joined(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    held = pa.Table.from_batches(batches, schema).combine_chunks().to_batches()
    return held[0] if held else pa.RecordBatch.from_pylist([], schema)


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


def between(rows: pa.RecordBatch, ledgers: LedgerRange) -> pa.RecordBatch:
    """Slice the rows of the ledgers, without copying; rows lie in ledger order."""
    numbers = rows.column("ledger_sequence")
    start = bisect_left(range(len(numbers)), ledgers.first, key=lambda row: numbers[row].as_py())
    stop = bisect_left(range(len(numbers)), ledgers.end + 1, lo=start, key=lambda row: numbers[row].as_py())
    return rows.slice(start, stop - start)


def in_ledger_order(run: pa.RecordBatch) -> pa.RecordBatch:
    """Undo `arranged`: rows of one ledger and one contract have never changed places."""
    return run.take(pc.sort_indices(run.column("ledger_sequence")))


def arranged(
    run: pa.RecordBatch, sort_by: str | None, partition: Partition | None
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield a run's rows folder by folder, sorted by a column where one is named; ties stay in order."""
    ranks = _ranks(run.column(sort_by)) if sort_by else None
    if partition is None:
        yield "", run if ranks is None else run.take(pc.sort_indices(ranks))
        return
    places, folders = partition.folders(run)
    keys = {"place": places, **({"rank": ranks} if ranks is not None else {})}
    order = pc.sort_indices(
        pa.RecordBatch.from_pydict(keys), sort_keys=[(name, "ascending") for name in keys]
    )
    rows = run.take(order)
    start = 0
    for place, stop in enumerate(pc.run_end_encode(places.take(order)).run_ends.to_pylist()):
        yield folders[place], rows.slice(start, stop - start)
        start = stop


def _ranks(texts: pa.Array) -> pa.Array:
    """Replace texts by their place among the different ones, which sorts five times as fast."""
    encoded = texts.dictionary_encode()
    return pc.sort_indices(pc.sort_indices(encoded.dictionary)).take(encoded.indices)
