"""Finding what was written: the tables below a place, and their rows, each ledger once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from stellarrow.core.tables import table
from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.registry import FORMATS
from stellarrow.sinks.files.formats import Format
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import MANIFEST, Partition, named_range
from stellarrow.sinks.files.listing import Listing, read_entry, readable
from stellarrow.sinks.files.quarantine import is_quarantined
from stellarrow.sinks.files.range_writer import Shape, shape_of
from stellarrow.sinks.files.runs import between
from stellarrow.sinks.files.store import FileStore


def listings(store: FileStore) -> list[Listing]:
    """Return every table below a place, at any depth, sorted by folder."""
    report: dict[str, list[str]] = {}
    for file in store.list("", deep=True):
        folder, _, name = file.path.rpartition("/")
        if is_quarantined(file.path):
            continue
        if folder.endswith(f"/{MANIFEST}"):
            report.setdefault(folder.removesuffix(f"/{MANIFEST}"), []).insert(0, file.path)
        elif folder and "=" not in folder and named_range(name, Parquet().suffix):
            report.setdefault(folder, []).append(file.path)
    shapes = (_shape(store, folder, paths) for folder, paths in sorted(report.items()))
    return [Listing(store, shape) for shape in shapes if shape]


def _shape(store: FileStore, folder: str, paths: Sequence[str]) -> Shape | None:
    """Ask one file after the other what the table is, until one can be read."""
    for path in paths[:-1]:
        with suppress(SinkError):
            return _shape_from(store, folder, path)
    return _shape_from(store, folder, paths[-1])


def _shape_from(store: FileStore, folder: str, told_by: str) -> Shape | None:
    if f"/{MANIFEST}/" in told_by:
        facts = dict(read_entry(store, told_by).facts)
    else:
        with readable(store, told_by), store.read(told_by) as file:
            facts = Parquet().facts(file)
    if "table" not in facts:
        return None  # not written by stellarrow
    facts = {"format": Parquet.name, "codec": "", "partition": "", "decoded": "", "filter": "", **facts}
    for own in ("first_ledger", "last_ledger"):
        facts.pop(own, None)
    kept = table(f"{facts.pop('table')}@{facts.pop('schema_version')}")
    format_ = format_of(facts["format"], facts["codec"] or None)
    return shape_of(kept, facts, format_, Partition.of(facts["partition"]), folder=folder)


def format_of(name: str, codec: str | None = None) -> Format:
    """Return the format of a name."""
    made: Format = FORMATS[name].load()(codec)
    return made


def rows_of(
    listing: Listing, wanted: LedgerRange | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield a table's rows, each ledger once; files one after the other, each in ledger order.

    Where columns are named, ledger_sequence among them, only those.
    """
    for _, part, paths in listing.trusted():
        first = max(part.first, wanted.first) if wanted else part.first
        last = min(part.end, wanted.end) if wanted else part.end
        for path in paths if first <= last else ():
            with readable(listing.store, path), listing.store.read(path) as file:
                for rows in listing.shape.format.read(file, listing.shape.schema, columns):
                    yield between(rows, LedgerRange(first, last))


@dataclass(frozen=True, slots=True)
class HeldFiles:
    """A table in a place of files; `network` is a passphrase."""

    listing: Listing

    @property
    def name(self) -> str:
        return self.listing.shape.folder

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
