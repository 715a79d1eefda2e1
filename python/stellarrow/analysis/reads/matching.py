"""Rows of a Parquet file that conditions are true of, run by run: what cannot hold any is passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from stellarrow.analysis.reads.asked import Asked, ByCore
from stellarrow.analysis.reads.layouts import Layout
from stellarrow.analysis.reads.order import LEDGER, ledgers_of
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.dataset import verifying
from stellarrow.sinks.files.formats.parquet import run_groups
from stellarrow.sinks.files.group_index import Probe, sections_of

_BATCH: Final = 1 << 15  # rows
# Of a run of which so much is read for a page, all is decoded and kept: the next asks for another account.
_KEPT_GROUPS: Final = 4

_ENOUGH: Final = 64  # rows: of fewer, those of the next run come in the same batch

Batches = Iterator[pa.RecordBatch]
Keep = Callable[[int, Callable[[], Batches]], Sequence[pa.RecordBatch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is looked for in a file: rows of some ledgers of which an expression is true, and columns of them.

    `reads` are the columns of the expression; `probe` is what of it texts tell, all of it where it
    `is_probed`. `groups` are the row groups that may hold such rows; where None tells nothing, the columns
    of the probe are read first. Where `layout` tells where columns lie, few rows are read alone. `keep`
    returns the rows of a run by its number, those it kept or decoded now: of a page only.
    """

    schema: pa.Schema
    columns: Sequence[str]
    ledgers: LedgerRange
    expression: pc.Expression
    reads: Sequence[str] = ()
    groups: Sequence[int] | None = None
    probe: Probe = ()
    is_probed: bool = False
    layout: Layout | None = None
    descending: bool = False
    keep: Keep | None = None

    def within(self, file: pa.NativeFile) -> Batches:
        """Yield the rows of runs that have any, in no order within; a run is of whole ledgers."""
        core = self.layout and self._core(file, self.layout)
        if not core:
            yield from self._scanned(file)
            return
        waiting: list[pa.RecordBatch] = []
        for number, run in self._in_turn(core.layout.runs):
            due = [group for group in run if self._is_due(core, group)]
            waiting += self._run(core, number, run, due)
            if sum(rows.num_rows for rows in waiting) >= _ENOUGH:
                yield from _one(waiting)
                waiting = []
        yield from _one(waiting)

    def _in_turn(self, runs: Iterable[Sequence[int]]) -> Sequence[tuple[int, Sequence[int]]]:
        numbered = [*enumerate(runs)]
        return numbered[::-1] if self.descending else numbered

    def _core(self, file: pa.NativeFile, layout: Layout) -> ByCore | None:
        """Return what the core reads a file's row groups by; None where it does not know these columns."""
        asked = Asked.of(self.probe, self.schema, [*self.columns, *self.reads, LEDGER])
        return ByCore(file, layout, asked) if asked and layout.knows(asked.whole) else None

    def _is_due(self, core: ByCore, group: int) -> bool:
        """Tell whether a row group may have such rows: it is asked itself where no index tells."""
        has = core.layout.ledgers[group]
        if has.end < self.ledgers.first or self.ledgers.end < has.first:
            return False
        return core.may_have(group) if self.groups is None else group in self.groups

    def _run(self, core: ByCore, number: int, run: Sequence[int], due: Sequence[int]) -> Batches:
        """Yield the rows of a run: the core reads row groups that have few, Arrow decodes the others."""
        whole = partial(verifying().make_fragment, core.file)
        if self._is_kept(run, due):
            yield from self._of_kept(number, lambda: self._all(whole(), run))
            return
        read = {group: core.rows(group) for group in due}
        if few := [rows for rows in read.values() if rows]:
            yield self._meant(pa.concat_batches(few), core.asked).select([*self.columns])
        if many := [group for group, rows in read.items() if rows is None]:
            yield from self._of_groups(whole(), many)

    def _is_kept(self, run: Sequence[int], due: Sequence[int]) -> bool:
        return self.keep is not None and len(due) >= max(_KEPT_GROUPS, len(run) // 2)

    def _meant(self, rows: pa.RecordBatch, asked: Asked) -> pa.RecordBatch:
        """Return the rows that the expression is true of, which the terms are true of."""
        if self.is_probed and asked.is_all:
            first, last = self.ledgers.first, self.ledgers.end
            if all(first <= ledger <= last for ledger in ledgers_of(rows)):
                return rows
        return rows.filter(self.expression)

    def _scanned(self, file: pa.NativeFile) -> Batches:
        whole = verifying().make_fragment(file)
        due = {group.id for group in whole.subset(self.expression, schema=self.schema).row_groups}
        if self.groups is not None:
            due &= set(self.groups)
        elif self.probe:
            due &= {group for group in due if self._may_have(file, whole.metadata, group)}
        for number, run in self._in_turn(run_groups(whole.metadata)):
            wanted = [group for group in run if group in due]
            if self._is_kept(run, wanted):
                found = self._of_kept(number, partial(self._all, whole, run))
            else:
                found = self._of_groups(whole, wanted)
            yield from _one([*found])

    def _may_have(self, file: pa.NativeFile, metadata: pq.FileMetaData, group: int) -> bool:
        """Tell whether a row group has what is looked for, by the few columns that say so."""
        sections, there = sections_of(self.schema), metadata.schema.to_arrow_schema().names
        asked = {section for term in self.probe for wanted in term for section, _ in wanted}
        names = [name for section in asked for name in sections.get(section, ()) if name in there]
        held = pq.ParquetFile(file, metadata=metadata, page_checksum_verification=True)
        rows = held.read_row_group(group, names, use_threads=False)

        def has(section: str, text: str) -> bool:
            if section not in sections:
                return True  # nothing tells
            columns = [rows[name] for name in sections[section] if name in there]
            return any(pc.index(column, text).as_py() >= 0 for column in columns)

        return all(any(all(has(*one) for one in wanted) for wanted in term) for term in self.probe)

    def _of_groups(self, whole: ds.ParquetFileFragment, wanted: Sequence[int]) -> Batches:
        if wanted:
            part = whole.subset(row_group_ids=wanted)
            names, where = [*self.columns], self.expression
            yield from part.to_batches(schema=self.schema, columns=names, filter=where, batch_size=_BATCH)

    def _of_kept(self, number: int, decode: Callable[[], Batches]) -> Batches:
        for rows in self.keep(number, decode) if self.keep else ():
            yield rows.filter(self.expression).select([*self.columns])

    def _all(self, whole: ds.ParquetFileFragment, run: Sequence[int]) -> Batches:
        yield from whole.subset(row_group_ids=run).to_batches(schema=self.schema, batch_size=_BATCH)


def _one(batches: Sequence[pa.RecordBatch]) -> Batches:
    """Yield the rows of batches as one, if there are any."""
    if found := [rows for rows in batches if rows.num_rows]:
        yield pa.concat_batches(found) if len(found) > 1 else found[0]
