"""One table of any ledgers as a lazy stream of Arrow batches, for whoever takes Arrow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Final, TypeAlias

import pyarrow as pa

from stellarrow.core.decode import Decoder
from stellarrow.core.options import DecodeOptions
from stellarrow.core.stream import stream
from stellarrow.core.tables import schema
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline.hash_chain import Chain
from stellarrow.pipeline.loop import is_open, wanted_ledgers, weight
from stellarrow.pipeline.parallel import ordered
from stellarrow.protocols import Source
from stellarrow.sql import compile_sql
from stellarrow.storage.paths import local_path

Ledgers: TypeAlias = LedgerSet | LedgerRange | str | None
Place: TypeAlias = str | os.PathLike[str]

_BUDGET: Final = 64 << 20  # bytes that ledgers in flight and their rows may take


@dataclass(frozen=True, slots=True, repr=False)
class Scan:
    """Rows of a table, read anew by everyone who asks: nothing is read before, or kept after.

    Whatever takes Arrow takes it as it is: `pl.DataFrame(scan)`, `duckdb.sql("from scan")`, `pa.table(scan)`.
    """

    table: str
    place: str
    schema: pa.Schema
    _batches: Callable[[], Iterator[pa.RecordBatch]]

    def to_reader(self) -> pa.RecordBatchReader:
        """Return a reader that passes over the rows once."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand over a pass over the rows, cast to another schema where that is asked for (PyCapsule)."""
        return stream(self.schema, self._batches(), requested_schema)

    def __repr__(self) -> str:
        return f"<Scan of {self.table} in {self.place}: {', '.join(self.schema.names)}>"


def scan(
    source: Place | Source,
    *,
    table: str,
    start: int | date | None = None,
    end: int | date | None = None,
    ledgers: Ledgers = None,
    network: str | Network | None = None,
    where: Filter | str | None = None,
    columns: Sequence[str] | None = None,
    decoded: bool = False,
    transfers: str = "derive",
    verify_chain: bool = True,
    verify_hashes: bool | None = None,
    workers: int | None = None,
) -> Scan:
    """Read a table lazily out of ledgers (a path, glob, URL or source), or of a folder that was extracted.

    `where` is a Filter, or SQL such as `amount_raw > 10000000`; `columns` are names, or SQL such as
    `amount_raw / 10000000 as amount`. Ledgers go from `start` to `end`, numbers or dates or datetimes (in UTC
    unless they say), or are `ledgers` as run takes them, such as `2024-07-01:+1d`; all that are there by
    default, and an open range ends with what is there. Rows of ledgers come in order, those of a folder file
    by file. Wrong arguments are told now, what is wrong with ledgers in its turn.
    """
    asked = _asked(start, end, ledgers)
    chosen = Filter.of(where)
    if extracted := _extracted(source, table, chosen, columns, asked):
        return extracted
    known = schema(table, decoded=True)
    picked = _Picked.of(table, schema(table, decoded=decoded), chosen, columns, known=known)

    options = DecodeOptions(
        network=Network.of(network or "pubnet"),
        where=picked.where,
        decoded=decoded,
        transfers=transfers,
        verify_chain=verify_chain,
        verify_hashes=verify_hashes,
    )
    Decoder.of([table], options)  # a bad filter is told now
    reading = _Reading(source, table, asked, network, options, workers or os.cpu_count() or 1)
    return Scan(table, str(source), picked.schema, lambda: picked.batches(reading.batches()))


def _extracted(
    source: Place | Source,
    table: str,
    where: Filter,
    columns: Sequence[str] | None,
    asked: LedgerSet | str | None,
) -> Scan | None:
    """Scan a folder that was extracted; None where there is no such folder, or not with this table."""
    if not isinstance(source, str | os.PathLike) or "://" in str(source):
        return None
    from stellarrow.sinks.files.dataset import find_table  # noqa: PLC0415  loads Arrow's datasets

    if (folder := find_table(local_path(source), table)) is None:
        return None
    picked = _Picked.of(table, folder.schema, where, columns, known=folder.schema)
    wanted = folder.read_ledgers(asked) if isinstance(asked, str) else asked
    batches = folder.batches(picked.where, wanted)
    return Scan(table, str(source), picked.schema, lambda: picked.batches(batches()))


def _asked(start: int | date | None, end: int | date | None, ledgers: Ledgers) -> LedgerSet | str | None:
    if ledgers is not None:
        if start is not None or end is not None:
            raise ConfigError("start and end say what ledgers says: give one of them")
        return LedgerSet([ledgers]) if isinstance(ledgers, LedgerRange) else ledgers
    for name, given in (("start", start), ("end", end)):
        if given is not None and not isinstance(given, int | date):
            raise ConfigError(f"{name} is {given!r}: give a ledger's number, a date or a datetime")
    if isinstance(start, date) or isinstance(end, date):
        return f"{_written(start)}:{_written(end)}"
    if start is None:
        return None if end is None else f":{end}"
    return LedgerSet([LedgerRange(start, end)])


def _written(end: int | date | None) -> str:
    if isinstance(end, datetime):
        return (end if end.tzinfo else end.replace(tzinfo=UTC)).isoformat(timespec="seconds")
    return "" if end is None else str(end)


@dataclass(frozen=True, slots=True)
class _Picked:
    """What is made of a table's rows: by the filter while they are decoded, and what of it is kept."""

    where: Filter
    schema: pa.Schema

    @classmethod
    def of(
        cls, table: str, held: pa.Schema, where: Filter, columns: Sequence[str] | None, *, known: pa.Schema
    ) -> _Picked:
        if columns is not None and where.select:
            raise ConfigError("columns say what the filter's select says: give one of them")
        if columns is not None and (isinstance(columns, str) or not columns):
            raise ConfigError(f"columns is {columns!r}: give a list of names, such as ['closed_at']")
        names = set(held.names)
        if columns is not None and not names.issuperset(columns):
            quoted = [f'"{one}"' if one in names else one for one in columns]
            where = replace(where, select=", ".join(quoted))
        made = compile_sql(table.partition("@")[0], held, where, whole=known)
        if made and where.select:
            return cls(where, made.schema if columns is None else made.asked)
        if columns is not None:
            held = pa.schema([held.field(name) for name in columns], held.metadata)
        return cls(where, held)

    def batches(self, made: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with closing(made):  # type: ignore[type-var]  # they are generators
            for batch in made:
                yield batch if batch.schema.names == self.schema.names else batch.select(self.schema.names)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A pass over a source's ledgers."""

    source: Place | Source
    table: str
    asked: LedgerSet | str | None
    network: str | Network | None
    options: DecodeOptions
    workers: int

    def batches(self) -> Iterator[pa.RecordBatch]:
        if not isinstance(self.source, str | os.PathLike):
            yield from self._all(self.source)
            return
        from stellarrow.registry import open_source  # noqa: PLC0415  loads sources and sinks

        with closing(open_source(os.fspath(self.source))) as source:
            yield from self._all(source)

    def _all(self, source: Source) -> Iterator[pa.RecordBatch]:
        from stellarrow.registry import find_network  # noqa: PLC0415  loads sources and sinks

        network = find_network(source, self.network)
        decoder = Decoder.of([self.table], replace(self.options, network=network))
        for part in _ending(wanted_ledgers(source, self.asked), source):
            yield from self._part(source, decoder, part)

    def _part(self, source: Source, decoder: Decoder, part: LedgerRange) -> Iterator[pa.RecordBatch]:
        chain = Chain(part, verify=self.options.verify_chain)
        chunks = source.read(part)
        with closing(ordered(chunks, decoder, workers=self.workers, budget=_BUDGET, cost=weight)) as made:
            for batch in made:
                chain.follow(batch.first, batch.last, batch.run)
                yield batch.tables[self.table]
        chain.end()


def _ending(wanted: LedgerSet, source: Source) -> LedgerSet:
    """End an open range with what the source has now, where it can tell."""
    if not is_open(wanted):
        return wanted
    held = source.available()
    return wanted if not held or is_open(held) else wanted & LedgerSet([LedgerRange(0, held.last)])
