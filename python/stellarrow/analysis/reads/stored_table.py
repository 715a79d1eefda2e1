"""One stored table as it was when somebody looked: which ledgers it has, and their rows in order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.conditions import Compiled
from stellarrow.analysis.reads.indexes import Indexes
from stellarrow.analysis.reads.kept import KeptRows
from stellarrow.analysis.reads.matching import Batches, Looked
from stellarrow.analysis.reads.order import LEDGER, blocks, in_order, key_of, sliced, turned
from stellarrow.analysis.reads.refusals import still_there
from stellarrow.core.rows import chosen_columns
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.departed import Departed
from stellarrow.sinks.files.departures import Departures, KnownRecords
from stellarrow.sinks.files.formats.parquet import Parquet, plain
from stellarrow.sinks.files.layout import trusted
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.pieces import pieces
from stellarrow.sinks.files.reading import rows_of, runs_of, runs_within
from stellarrow.storage.files import Found


@dataclass(frozen=True, slots=True)
class StoredTable:
    """The files of one table, as they were when somebody looked."""

    listing: Listing
    ranges: tuple[LedgerRange, ...] = ()
    coverage: LedgerSet = field(default_factory=LedgerSet)
    kept: KeptRows = field(default_factory=KeptRows, repr=False, compare=False)
    indexes: Indexes = field(default_factory=Indexes, repr=False, compare=False)
    held: tuple[LedgerRange, ...] = ()  # as the files are named
    departures: Departures = field(default_factory=Departures, compare=False)
    reach: int = field(default=0, compare=False)  # the last ledger that any table of the place has come to

    @classmethod
    def look(
        cls, listing: Listing, kept: KeptRows | None = None, indexes: Indexes | None = None
    ) -> StoredTable:
        parts = listing.parts()
        found = [*trusted(parts)]
        return cls(
            listing,
            tuple(part for _, part in found),
            LedgerSet(parts),
            KeptRows() if kept is None else kept,
            Indexes() if indexes is None else indexes,
            tuple(held for held, _ in found),
        )

    def without(self, records: Iterable[Found], known: KnownRecords) -> StoredTable:
        """Return the same with what left, by the records that were listed after its files."""
        departed = Departed.of(records)
        departures = Departures.of(self.listing, departed, self.coverage, known)
        return replace(self, departures=departures) if departed.ledgers else self

    @property
    def schema(self) -> pa.Schema:
        return self.listing.shape.schema

    def within(
        self,
        ledgers: LedgerRange,
        columns: Sequence[str],
        conditions: Compiled,
        *,
        descending: bool = False,
        is_page: bool = False,
        for_text: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows of which the conditions' expression is true, in order: these columns and the key's.

        Of a page more is decoded than is read: that is kept for the next. `for_text`, texts that repeat may
        be dictionaries.
        """
        chosen_columns(self.schema, key_of(self.listing.shape.facts["table"]), self.listing)
        needed = self._needed(columns)
        with still_there():
            found = self._within(ledgers, columns, conditions, descending=descending, is_page=is_page)
            if not self._is_by_runs(conditions):
                yield from found
                return
            for rows in found:
                yield rows if for_text and rows.schema.names == needed else self._plain(rows, needed)

    def _plain(self, rows: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
        return plain(rows, pa.schema([self.schema.field(name) for name in names], self.schema.metadata))

    def _is_by_runs(self, conditions: Compiled) -> bool:
        """Tell whether rows are read run by run, as they lie there."""
        shape = self.listing.shape
        return conditions.expression is None and shape.partition is None and shape.format.name == Parquet.name

    def _within(
        self,
        ledgers: LedgerRange,
        columns: Sequence[str],
        conditions: Compiled,
        *,
        descending: bool,
        is_page: bool,
    ) -> Iterator[pa.RecordBatch]:
        if is_page and conditions.expression is None and self.listing.shape.partition is None:
            yield from self._kept(ledgers, columns, descending=descending)
            return
        parts = [_both(part, ledgers) for part in self._having(ledgers)]
        for part in reversed(parts) if descending else parts:
            batches = self._part(part, columns, conditions, descending=descending, is_page=is_page)
            for rows in batches:
                yield from turned(rows) if descending else (rows,)

    def _kept(
        self, ledgers: LedgerRange, columns: Sequence[str], *, descending: bool
    ) -> Iterator[pa.RecordBatch]:
        folder, anything = self.listing.shape.folder, Compiled()
        needed = tuple(self._needed(columns))
        parts = self._having(ledgers)
        for part in reversed(parts) if descending else parts:
            for run in self._runs(part, ledgers, descending=descending):
                read = partial(self._part, run, needed, anything, is_page=True)
                found = self.kept.picture((folder, part, (*needed, str(run))), read)
                for rows in found.within(ledgers, descending=descending):
                    yield from turned(rows) if descending else sliced(rows)

    def _runs(self, part: LedgerRange, ledgers: LedgerRange, *, descending: bool) -> list[LedgerRange]:
        """Return what of a file is decoded at once, where it has any of the ledgers."""
        runs: tuple[LedgerRange, ...] = (part,)
        if self.listing.shape.format.name == Parquet.name:
            runs = self.kept.runs(
                (self.listing.shape.folder, part, ()),
                partial(runs_within, self.listing, part, held=self._held(part)),
            )
        found = [one for one in runs if one.first <= ledgers.end and ledgers.first <= one.end]
        return found[::-1] if descending else found

    def _having(self, ledgers: LedgerRange) -> Sequence[LedgerRange]:
        """Return what is read of each file that has any of the ledgers."""
        first = bisect_left(self.ranges, ledgers.first, key=lambda part: part.end)
        return self.ranges[
            first : bisect_right(self.ranges, ledgers.end, lo=first, key=lambda part: part.first)
        ]

    def _held(self, ledgers: LedgerRange) -> LedgerRange | None:
        """Return the name of the file that has all of the ledgers, as it was listed; None where none has."""
        at = bisect_left(self.ranges, ledgers.first, key=lambda part: part.end)
        has_all = (
            at < len(self.held)
            and self.ranges[at].first <= ledgers.first <= ledgers.end <= self.ranges[at].end
        )
        return self.held[at] if has_all else None

    def _needed(self, columns: Sequence[str]) -> list[str]:
        wanted = {*columns, *key_of(self.listing.shape.facts["table"])}
        return [one for one in self.schema.names if one in wanted]

    def _part(
        self,
        part: LedgerRange,
        columns: Sequence[str],
        conditions: Compiled,
        *,
        descending: bool = False,
        is_page: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file's ledgers, each batch in order, and batches in order or from the last.

        Where they are read by runs, texts that repeat are dictionaries; of a page a run is one batch.
        """
        shape = self.listing.shape
        name = shape.facts["table"]
        needed = self._needed(columns)
        expression = conditions.expression
        searched = expression is not None and shape.format.name == Parquet.name
        if self._is_by_runs(conditions):
            yield from self._in_runs(part, needed, descending=descending, is_page=is_page)
            return
        if searched and expression is not None:
            found = self._matching(part, needed, conditions, descending=descending, is_page=is_page)
        else:
            found = self._all(part, self.schema.names if expression is not None else needed, expression)
        if shape.partition is None and (searched or (expression is None and not descending)):
            yield from (in_order(rows, name) for rows in found)
        elif expression is None and shape.partition is None:
            yield from (in_order(rows, name) for rows in reversed([*found]))
        elif batches := [*found]:
            yield in_order(pa.concat_batches(batches), name)

    def _in_runs(
        self, part: LedgerRange, columns: Sequence[str], *, descending: bool, is_page: bool
    ) -> Iterator[pa.RecordBatch]:
        """Yield all rows of a file run by run; but for a page, some at a time."""
        by = key_of(self.listing.shape.facts["table"])
        read = runs_of(self.listing, part, columns, by, held=self._held(part))
        with closing(read) as found:  # type: ignore[type-var]  # a generator
            for run in reversed([*found]) if descending else found:
                some = (run,) if is_page else blocks(run)
                yield from reversed([*some]) if descending else some

    def _all(
        self, part: LedgerRange, columns: Sequence[str], expression: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows in pieces of whole ledgers, in ledger order where there are no partitions."""
        read = rows_of(self.listing, part, columns, held=self._held(part))
        with closing(read) as batches:  # type: ignore[type-var]  # a generator
            for rows in batches:
                yield rows if expression is None else rows.filter(expression)

    def _matching(
        self,
        part: LedgerRange,
        columns: Sequence[str],
        conditions: Compiled,
        *,
        descending: bool,
        is_page: bool,
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows run by run; row groups that an index or statistics rule out are passed over."""
        expression = conditions.expression
        if expression is None:
            return
        due_of: dict[str, tuple[KeptFile, list[int] | None]] = {}

        def is_asked(held: LedgerRange, kept: KeptFile) -> bool:
            groups = self.indexes.groups(self.listing, held, kept, conditions.probe)
            due_of[f"{self.listing.shape.folder}/{kept.path}"] = kept, groups
            return groups is None or bool(groups)

        held = self._held(part)
        for due, path, file in pieces(
            self.listing, part, held=held, is_asked=is_asked, descending=descending
        ):
            kept, groups = due_of[path]
            within = (pc.field(LEDGER) >= due.first) & (pc.field(LEDGER) <= due.end)
            with readable(self.listing.store, path):
                looked = Looked(
                    schema=self.schema,
                    columns=columns,
                    ledgers=due,
                    expression=within & expression,
                    reads=conditions.reads,
                    groups=groups,
                    probe=conditions.probe,
                    is_probed=conditions.is_probed,
                    layout=self.indexes.layouts.of(kept.footer, file) if conditions.probe else None,
                    descending=descending,
                    keep=partial(self._run, part, kept.sha256) if is_page and kept.sha256 else None,
                )
                yield from looked.within(file)

    def _run(
        self, part: LedgerRange, sha256: str, number: int, decode: Callable[[], Batches]
    ) -> Sequence[pa.RecordBatch]:
        """Return the rows of a run that pages were read from lately, or of one that is decoded now."""
        key = (self.listing.shape.folder, part, (sha256, str(number)))
        return [piece.rows for piece in self.kept.picture(key, decode).pieces]


def _both(one: LedgerRange, other: LedgerRange) -> LedgerRange:
    return LedgerRange(max(one.first, other.first), min(one.end, other.end))
