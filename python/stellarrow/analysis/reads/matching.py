"""Rows of a Parquet file that conditions are true of, run by run: what cannot hold any is passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from stellarrow.sinks.files.dataset import verifying
from stellarrow.sinks.files.formats.parquet import run_groups
from stellarrow.sinks.files.group_index import Probe, sections_of

_BATCH: Final = 1 << 15  # rows
# Of a run of which so much is read for a page, all is decoded and kept: the next asks for another account.
_KEPT_GROUPS: Final = 4

Batches = Iterator[pa.RecordBatch]
Keep = Callable[[int, Callable[[], Batches]], Sequence[pa.RecordBatch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is looked for in a file: rows of which an expression is true, these columns of them.

    `groups` are the row groups that may hold such; where None tells nothing, the columns of `probe` are read
    first. `keep` returns the rows of a run by its number, those it kept or decoded now: of a page only.
    """

    schema: pa.Schema
    columns: Sequence[str]
    expression: pc.Expression
    groups: Sequence[int] | None = None
    probe: Probe = ()
    descending: bool = False
    keep: Keep | None = None

    def within(self, file: pa.NativeFile) -> Batches:
        """Yield the rows of each run that has any, in no order within; a run is of whole ledgers."""
        whole = verifying().make_fragment(file)
        due = {group.id for group in whole.subset(self.expression, schema=self.schema).row_groups}
        if self.groups is not None:
            due &= set(self.groups)
        elif self.probe:
            due &= {group for group in due if self._may_have(file, whole.metadata, group)}
        runs = [*enumerate(run_groups(whole.metadata))]
        for number, run in reversed(runs) if self.descending else runs:
            wanted = [group for group in run if group in due]
            if self.keep and len(wanted) >= max(_KEPT_GROUPS, len(run) // 2):
                found = self._of_kept(self.keep(number, partial(self._all, whole, run)))
            else:
                found = self._of_groups(whole, wanted)
            if batches := [rows for rows in found if rows.num_rows]:
                yield pa.concat_batches(batches) if len(batches) > 1 else batches[0]

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

    def _of_kept(self, kept: Sequence[pa.RecordBatch]) -> Batches:
        for rows in kept:
            yield rows.filter(self.expression).select([*self.columns])

    def _all(self, whole: ds.ParquetFileFragment, run: Sequence[int]) -> Batches:
        yield from whole.subset(row_group_ids=run).to_batches(schema=self.schema, batch_size=_BATCH)
