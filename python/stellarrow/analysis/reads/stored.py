"""Stored tables as they are now: which ledgers they have, and their rows in order.

A folder is looked at again every now and then, by one thread for all readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.analysis.reads.conditions import Compiled
from stellarrow.analysis.reads.indexes import Indexes
from stellarrow.analysis.reads.kept import MOST_BYTES, KeptRows
from stellarrow.analysis.reads.matching import Batches, Looked
from stellarrow.analysis.reads.order import LEDGER, blocks, in_order, key_of, sliced, turned
from stellarrow.analysis.reads.refusals import still_there
from stellarrow.analysis.reads.served import ServedTables
from stellarrow.core.rows import chosen_columns
from stellarrow.errors import ConfigError, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.departed import Departed, records_folder, table_of_record
from stellarrow.sinks.files.departures import Departures, KnownRecords
from stellarrow.sinks.files.formats.parquet import Parquet, plain
from stellarrow.sinks.files.lacking import Reach
from stellarrow.sinks.files.layout import trusted
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.location import Place, open_existing
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.pieces import pieces
from stellarrow.sinks.files.proof import held_files
from stellarrow.sinks.files.reading import rows_of, runs_of, runs_within
from stellarrow.storage.files import FileStore, Found


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
        needed = self._needed(columns)
        schema = pa.schema([self.schema.field(name) for name in needed], self.schema.metadata)
        with still_there():
            found = self._within(ledgers, columns, conditions, descending=descending, is_page=is_page)
            if not self._is_by_runs(conditions):
                yield from found
            else:
                for rows in found:
                    yield rows if for_text and rows.schema.names == needed else plain(rows, schema)

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
        parts = [both for part in self.ranges for both in LedgerSet([part]) & LedgerSet([ledgers])]
        for part in reversed(parts) if descending else parts:
            batches = self._part(part, columns, conditions, descending=descending, is_page=is_page)
            for rows in batches:
                yield from turned(rows) if descending else (rows,)

    def _kept(
        self, ledgers: LedgerRange, columns: Sequence[str], *, descending: bool
    ) -> Iterator[pa.RecordBatch]:
        folder, anything = self.listing.shape.folder, Compiled()
        needed = tuple(self._needed(columns))
        for part in reversed(self.ranges) if descending else self.ranges:
            for run in self._runs(part, ledgers, descending=descending):
                read = partial(self._part, run, needed, anything, is_page=True)
                found = self.kept.picture((folder, part, (*needed, str(run))), read)
                for rows in found.within(ledgers, descending=descending):
                    yield from turned(rows) if descending else sliced(rows)

    def _runs(self, part: LedgerRange, ledgers: LedgerRange, *, descending: bool) -> list[LedgerRange]:
        """Return what of a file is decoded at once, where it has any of the ledgers."""
        if ledgers.end < part.first or ledgers.first > part.end:
            return []
        runs: tuple[LedgerRange, ...] = (part,)
        if self.listing.shape.format.name == Parquet.name:
            runs = self.kept.runs(
                (self.listing.shape.folder, part, ()), partial(runs_within, self.listing, part)
            )
        found = [one for one in runs if one.first <= ledgers.end and ledgers.first <= one.end]
        return found[::-1] if descending else found

    def _needed(self, columns: Sequence[str]) -> list[str]:
        return [
            one for one in self.schema.names if one in {*columns, *key_of(self.listing.shape.facts["table"])}
        ]

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
        chosen_columns(shape.schema, key_of(name), self.listing)
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
        with closing(runs_of(self.listing, part, columns, by)) as found:  # type: ignore[type-var]  # a generator
            for run in reversed([*found]) if descending else found:
                some = (run,) if is_page else blocks(run)
                yield from reversed([*some]) if descending else some

    def _all(
        self, part: LedgerRange, columns: Sequence[str], expression: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows in pieces of whole ledgers, in ledger order where there are no partitions."""
        with closing(rows_of(self.listing, part, columns)) as batches:  # type: ignore[type-var]  # a generator
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
        if self._is_ruled_out(part, conditions):
            return
        due_of: dict[str, tuple[KeptFile, list[int] | None]] = {}

        def is_asked(held: LedgerRange, kept: KeptFile) -> bool:
            groups = self.indexes.groups(self.listing, held, kept, conditions.probe)
            due_of[f"{self.listing.shape.folder}/{kept.path}"] = kept, groups
            return groups is None or bool(groups)

        for due, path, file in pieces(self.listing, part, is_asked=is_asked, descending=descending):
            kept, groups = due_of[path]
            within = (pc.field(LEDGER) >= due.first) & (pc.field(LEDGER) <= due.end)
            looked = Looked(
                schema=self.schema,
                columns=columns,
                expression=within & expression,
                groups=groups,
                descending=descending,
                keep=partial(self._run, part, kept.sha256) if is_page and kept.sha256 else None,
            )
            with readable(self.listing.store, path):
                yield from looked.within(file)

    def _is_ruled_out(self, part: LedgerRange, conditions: Compiled) -> bool:
        """Tell from the entry and the index alone whether none of a part's rows is meant."""
        held = dict(zip(self.ranges, self.held, strict=True)).get(part)
        if not conditions.probe or held is None:
            return False
        try:
            files = held_files(self.listing, held)
        except SinkError:
            return False  # merged just now, or damaged: who opens it finds out
        return all(self.indexes.groups(self.listing, held, kept, conditions.probe) == [] for kept in files)

    def _run(
        self, part: LedgerRange, sha256: str, number: int, decode: Callable[[], Batches]
    ) -> Sequence[pa.RecordBatch]:
        """Return the rows of a run that pages were read from lately, or of one that is decoded now."""
        key = (self.listing.shape.folder, part, (sha256, str(number)))
        return [piece.rows for piece in self.kept.picture(key, decode).pieces]


class Stored:
    """The tables of a place, by name; `look` finds out what there is now."""

    def __init__(
        self,
        location: str,
        tables: Sequence[str] | None = None,
        *,
        may_come: bool = False,
        in_order: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Open a place; one that `may_come` need not be there yet. So much is kept of rows for pages.

        What cannot be read `in_order` is not there; refused where it is named.
        """
        self._store: FileStore = Place.parse(location).open() if may_come else open_existing(location)
        self._tables: dict[str, StoredTable] = {}
        self._kept = KeptRows(most_bytes)
        self._indexes = Indexes()
        self._records = KnownRecords()
        self._reach = Reach()
        self._wanted = None if tables is None else frozenset(tables)
        self._served = ServedTables(self._store, self._wanted, in_order=in_order)
        self.look()

    def __str__(self) -> str:
        return str(self._store)

    @property
    def tables(self) -> dict[str, StoredTable]:
        return self._tables

    @property
    def kept_bytes(self) -> int:
        """What is kept of rows that pages were read from."""
        return self._kept.size_bytes

    @property
    def network(self) -> str | None:
        """The passphrase of whose ledgers they are, None where there is no table."""
        known = {one.listing.shape.facts["network"] for one in self._tables.values()}
        if len(known) > 1:
            raise ConfigError(f"{self} has tables of several networks: name a folder of one")
        return next(iter(known), None)

    def look(self) -> bool:
        """Look again; tell whether there is more, or less, than before."""
        before = self._tables
        if self._wanted is None or set(self._tables) < self._wanted:
            found = self._find()
        else:
            found = {
                name: StoredTable.look(one.listing, self._kept, self._indexes) for name, one in before.items()
            }
        seen = self._without_departed(found)
        reach = self._reach.by(part for one in seen.values() for part in (one.coverage, one.departures.gone))
        self._tables = {name: replace(one, reach=reach) for name, one in seen.items()}
        whole = {(one.listing.shape.folder, held) for one in self._tables.values() for held in one.held}
        there = {(one.listing.shape.folder, part) for one in self._tables.values() for part in one.ranges}
        self._kept.forget(lambda key: key[:2] not in there)
        self._indexes.forget(lambda key: key not in whole)
        return _facts(before) != _facts(self._tables)

    def _without_departed(self, tables: dict[str, StoredTable]) -> dict[str, StoredTable]:
        """Give tables what left them: listed after their files, so that what leaves meanwhile is in both."""
        records: dict[str, list[Found]] = {}
        folders = {records_folder(one.listing.shape.folder).rpartition("/")[0] for one in tables.values()}
        for folder in sorted(folders):
            for file in self._store.list(folder, deep=True):
                if table := table_of_record(file.path):
                    records.setdefault(table, []).append(file)
        return {
            name: one.without(records.get(one.listing.shape.folder, ()), self._records)
            for name, one in tables.items()
        }

    def _find(self) -> dict[str, StoredTable]:
        found = self._served.find().items()
        return {name: StoredTable.look(one, self._kept, self._indexes) for name, one in found}

    def close(self) -> None:
        self._store.close()


def _facts(tables: dict[str, StoredTable]) -> dict[str, tuple[tuple[LedgerRange, ...], Departed]]:
    return {name: (one.ranges, one.departures.departed) for name, one in tables.items()}
