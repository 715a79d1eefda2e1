"""Finding what was written: the tables below a place, and their rows, each ledger once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stellarrow.core.rows import between, chosen_columns
from stellarrow.core.tables import as_schema, folder_of, is_typed, stored_table, written
from stellarrow.core.typed_columns import united
from stellarrow.errors import ConfigError, Damaged, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.registry import FORMATS
from stellarrow.sinks.files.again import CHANCES
from stellarrow.sinks.files.counting import row_counts
from stellarrow.sinks.files.damage import damaged
from stellarrow.sinks.files.departed import table_of_record
from stellarrow.sinks.files.formats import Format
from stellarrow.sinks.files.formats.parquet import Parquet, ledger_runs
from stellarrow.sinks.files.layout import MANIFEST, Partition, named_range
from stellarrow.sinks.files.listing import Listing, read_entry, read_record, readable
from stellarrow.sinks.files.manifest import SUFFIX
from stellarrow.sinks.files.pieces import pieces
from stellarrow.sinks.files.quarantine import is_quarantined
from stellarrow.sinks.files.range_writer import Shape, shape_of
from stellarrow.sinks.files.verify import Fault, check
from stellarrow.storage.files import FileStore, Gone


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A table's folder of which no file tells what it is; `paths` are those that were proven damaged."""

    folder: str
    paths: tuple[str, ...]
    error: SinkError


def listings(store: FileStore) -> list[Listing]:
    """Return every table below a place, at any depth, sorted by folder; an error where one is unreadable."""
    found = []
    for one in found_tables(store):
        if isinstance(one, Unreadable):
            raise one.error
        found.append(one)
    return found


def typed_columns(store: FileStore) -> dict[str, pa.Schema]:
    """Return the columns of every typed table that is kept in a place."""
    tables = [one for one in found_tables(store, below="typed") if isinstance(one, Listing)]
    told = ((one.shape.facts["table"], one.shape.facts.get("columns")) for one in tables)
    return {name: as_schema(name, columns) for name, columns in told if columns}


def found_tables(store: FileStore, *, departed: bool = False, below: str = "") -> list[Listing | Unreadable]:
    """Return every table below a place, at any depth, sorted by folder; damage of one hides no other.

    Tables of which every file was archived or deleted are among them where `departed`; `below` names a
    folder to look in alone.
    """
    found = _looked(store, departed=departed, below=below)
    for _ in range(CHANCES):
        if not any(isinstance(one, Unreadable) and isinstance(one.error, Gone) for one in found):
            break
        found = _looked(store, departed=departed, below=below)  # a table's files were all merged just now
    return found


def _looked(store: FileStore, *, departed: bool, below: str) -> list[Listing | Unreadable]:
    report: dict[str, list[str]] = {}
    for file in store.list(below, deep=True):
        folder, _, name = file.path.rpartition("/")
        if is_quarantined(file.path):
            continue
        if departed and (table := table_of_record(file.path)):
            report.setdefault(table, []).append(file.path)
            continue
        if folder.endswith(f"/{MANIFEST}") and named_range(name, SUFFIX):
            report.setdefault(folder.removesuffix(f"/{MANIFEST}"), []).insert(0, file.path)
        elif (
            folder
            and not folder.endswith(f"/{MANIFEST}")
            and "=" not in folder
            and named_range(name, Parquet().suffix)
        ):
            report.setdefault(folder, []).append(file.path)
    found = (_found_table(store, folder, paths) for folder, paths in sorted(report.items()))
    return [one for one in found if one]


def _found_table(store: FileStore, folder: str, paths: Sequence[str]) -> Listing | Unreadable | None:
    """Ask one file after the other what the table is, until one can be read."""
    proven: list[str] = []
    answer = SinkError(f"{store}/{folder} has no file")
    for path in paths:
        try:
            shape = _shape_from(store, folder, path)
        except SinkError as error:
            if isinstance(error, Damaged):
                proven.append(path)
            if not isinstance(answer, Gone):
                answer = error  # of several that one is gone: another listing may name what can be read
        else:
            return _grown(Listing(store, shape), paths) if shape else None
    return Unreadable(folder, tuple(proven), answer)


def _grown(listing: Listing, paths: Sequence[str]) -> Listing:
    """Give a typed table the columns of all its files: each was written with those known by then."""
    columns = listing.shape.facts.get("columns")
    if columns is None:
        return listing
    name, told = listing.shape.facts["table"], {columns: None}
    for path in paths:
        if f"/{MANIFEST}/" in path and not table_of_record(path):
            with suppress(SinkError):  # damage of one file is told where its rows are read
                told[read_entry(listing.store, path).facts.get("columns", columns)] = None
    if len(told) == 1:
        return listing
    whole = united(as_schema(name, one) for one in told)
    facts = {**listing.shape.facts, "columns": written(whole)}
    return Listing(listing.store, _shape(facts, listing.shape.folder))


def _shape_from(store: FileStore, folder: str, told_by: str) -> Shape | None:
    if table_of_record(told_by):
        facts = dict(read_record(store, told_by).entry.facts)
    elif f"/{MANIFEST}/" in told_by:
        facts = dict(read_entry(store, told_by).facts)
    else:
        with readable(store, told_by), store.read(told_by) as file:
            facts = Parquet().facts(file)
    if "table" not in facts:
        return None  # not written by stellarrow
    try:
        return _shape(facts, folder)
    except (ConfigError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(f"{store}/{told_by}", f"tells of no table that is known ({error})") from error


def _shape(facts: dict[str, str], folder: str) -> Shape:
    facts = {"format": Parquet.name, "codec": "", "partition": "", "decoded": "", "filter": "", **facts}
    for own in ("first_ledger", "last_ledger"):
        facts.pop(own, None)
    kept = stored_table(facts.pop("table"), facts.pop("schema_version"), facts.pop("columns", ""))
    format_ = format_of(facts["format"], facts["codec"] or None)
    return shape_of(kept, facts, format_, Partition.of(facts["partition"]), folder=folder)


def format_of(name: str, codec: str | None = None) -> Format:
    """Return the format of a name."""
    made: Format = FORMATS[name].load()(codec)
    return made


def rows_of(
    listing: Listing,
    wanted: LedgerRange | None = None,
    columns: Sequence[str] | None = None,
    *,
    held: LedgerRange | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield a table's rows, each ledger once; files one after the other, each in ledger order.

    Where columns are named, ledger_sequence among them, only those; SinkError where the table has not all.
    `held` is as of `pieces`.
    """
    chosen_columns(listing.shape.schema, columns or (), listing)
    for due, path, file in pieces(listing, wanted, held=held):
        with readable(listing.store, path):
            for rows in listing.shape.format.read(file, listing.shape.schema, columns):
                yield between(rows, due)


def runs_of(
    listing: Listing,
    wanted: LedgerRange,
    columns: Sequence[str],
    by: Sequence[str],
    *,
    held: LedgerRange | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield these columns of a table of Parquet files run by run, each in order by some of them.

    Texts that repeat are dictionaries still: `plain` makes the table's rows, of as many as are needed. `held`
    is as of `pieces`.
    """
    chosen_columns(listing.shape.schema, by, listing)
    keys = [(name, "ascending") for name in by]
    for due, path, file in pieces(listing, wanted, held=held):
        with readable(listing.store, path):
            for run in Parquet().runs(file, listing.shape.schema, columns, due):
                order = pc.sort_indices(run.select([*by]), sort_keys=keys)
                yield between(run.take(order), due)


def runs_within(
    listing: Listing, wanted: LedgerRange, *, held: LedgerRange | None = None
) -> Iterator[LedgerRange]:
    """Yield which of the ledgers each run of a table of Parquet files has; `held` is as of `pieces`."""
    for due, path, file in pieces(listing, wanted, held=held):
        with readable(listing.store, path):
            for first, last, _ in ledger_runs(pq.read_metadata(file)):
                if first <= due.end and due.first <= last:
                    yield LedgerRange(max(first, due.first), min(last, due.end))


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a file, in a sentence, and the ledgers that cannot be read for it."""

    what: str
    ledgers: LedgerRange


def name_of(listing: Listing) -> str:
    """Return what a table is called: by its folder, a contract's own one as in every other place."""
    folder, table = listing.shape.folder, listing.shape.facts["table"]
    return table if is_typed(table) and folder_of(table) == folder else folder


@dataclass(frozen=True, slots=True)
class HeldFiles:
    """A table in a place of files; `network` is a passphrase."""

    listing: Listing

    @property
    def name(self) -> str:
        return name_of(self.listing)

    @property
    def version(self) -> str:
        return self.listing.shape.facts["schema_version"]

    @property
    def network(self) -> str:
        return self.listing.shape.facts["network"]

    @property
    def ledgers(self) -> LedgerSet:
        return self.listing.ranges()

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        wanted = list(dict.fromkeys(("ledger_sequence", *columns)))
        for rows in rows_of(self.listing, ledgers, wanted):
            yield rows.select(list(columns))

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        return row_counts(self.listing, ledgers)

    def damage(self) -> Iterator[Damage]:
        """Compare every file with what it was written as."""
        for one in check(self.listing):
            if isinstance(one, Fault) and one.ledgers:
                yield Damage(str(damaged(f"{self.listing.store}/{one.path}", one.what)), one.ledgers)


def held_files_in(store: FileStore) -> list[HeldFiles]:
    """Return every table that can be read; an error where there are some, and none can."""
    found = found_tables(store)
    held = [HeldFiles(one) for one in found if isinstance(one, Listing)]
    for one in found if not held else ():
        if isinstance(one, Unreadable):
            raise one.error
    return held
