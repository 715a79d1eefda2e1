"""Where a scan's rows come from: ledgers that are decoded as they are read, or files that were extracted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from stellarrow.core.arguments import as_select, check, number, workers_of
from stellarrow.core.decode import Decoder
from stellarrow.core.named_queries import Catalogue
from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import is_typed, schema
from stellarrow.core.typed import Specs, TypedTables
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.ledgers.dates import is_moment, without_spaces
from stellarrow.ledgers.numbers import moment
from stellarrow.pipeline.contract_specs import Ledgers, Place, learned
from stellarrow.pipeline.hash_chain import Chain
from stellarrow.pipeline.isolation import refetching
from stellarrow.pipeline.loop import weight
from stellarrow.pipeline.parallel import ordered
from stellarrow.protocols import Refetching, Source
from stellarrow.scanning.result import LedgersDeparted, LedgersUnextracted, Scan, sendable
from stellarrow.scanning.state_tables import is_state, scan_state
from stellarrow.scanning.unbroken import ledgers_there
from stellarrow.sql import compile_sql
from stellarrow.sql.named import NamedQuery
from stellarrow.storage.paths import local_path

if TYPE_CHECKING:
    from stellarrow.scanning.sunk import SunkTable
    from stellarrow.sinks.files.dataset import ExtractedTable

_BUDGET: Final = 64 << 20  # bytes that ledgers in flight and their rows may take


@sendable
def scan(
    source: Place | Source,
    *,
    table: str,
    start: int | str | date | None = None,
    end: int | str | date | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    network: str | Network | None = None,
    where: Filter | str | None = None,
    filter: str | NamedQuery | None = None,
    columns: Sequence[str] | None = None,
    projection: str | NamedQuery | None = None,
    decoded: bool = False,
    transfers: str = "derive",
    verify_chain: bool = True,
    verify_hashes: bool | None = None,
    workers: int | None = None,
    specs: Specs | None = None,
) -> Scan:
    """Read a table lazily out of ledgers, or of what was extracted into a folder or another sink.

    Nothing is read before the Scan is asked for rows. Rows of ledgers come in their order, those of a folder
    file by file. Wrong arguments are refused now, what is wrong with ledgers in its turn.

    Args:
        source: A path, glob or URL of ledgers, `-` for stdin, a Source, or where `run` wrote: a folder, or
            what `--to` takes, such as `parquet:s3://…`, `kafka://…`, `clickhouse://…`, `delta:…`,
            `duckdb:FILE`.
        table: A name, as `name` for the newest version or `name@version`; `sa.tables()` lists them.
        start: The first ledger, by its sequence, or the first that closed at or after a date or datetime (in
            UTC unless it says), or text that says one, such as `"2023-11-10"`; the first that is there where
            only `end` is given.
        end: The last ledger, included, or a date or datetime as `ledgers` has after the colon; None goes as
            far as what is there.
        ledgers: Instead of `start` and `end`: a LedgerRange, a LedgerSet, or text as the command line takes
            it, such as `"58752000:+1000"`, `"2024-07-01:+1d"` or `"latest"`. None takes all that are there.
            An open range ends with what is there.
        network: A name such as `pubnet`, or a passphrase. None takes what the place tells, such as a lake's
            manifest; where it tells none, name it. Of a folder that was extracted it is not asked.
        where: Which rows to keep: a Filter, or a condition in SQL such as `amount_raw > 10000000`.
        filter: A named filter that must hold, too: the name of one that is ready-made, such as
            `large_amounts`, or one of `sa.queries(FILE)`.
        columns: Which columns to make, in order: names, or SQL such as `amount_raw / 10000000 as amount`.
            None makes all.
        projection: Instead: a named one, out of `sa.queries(FILE)`.
        decoded: Add the columns made on request: values as XDR-JSON (SEP-51), contracts' interfaces (SEP-48).
        transfers: What token_transfers are read from: `derive`, operations, results and contract events;
            `unified`, the events of CAP-67 alone, an error where a ledger has none.
        verify_chain: Check that each ledger names the hash of the one before.
        verify_hashes: Check that transaction sets and results have the hashes that headers name. None does so
            for what comes over a network.
        workers: How many threads decode; None takes as many as there are processors.
        specs: Interfaces for typed tables (`typed:C…/events/transfer`) that the ledgers do not have: by
            contract, or hash of code, a WebAssembly file or its bytes, or `stellar-asset`. A typed table's
            columns are found in the ledgers, which are read for them now.

    Returns:
        A Scan: it has `to_table`, `to_pandas`, `to_polars`, `to_duckdb`, `head`, yields record batches, and
        is taken by whatever takes Arrow.

    Raises:
        ConfigError: An argument makes no sense.
        SourceError: A folder that was extracted has not the table, or not all of the ledgers.
    """
    check(
        source=source,
        table=table,
        filter=filter,
        projection=projection,
        ledgers=ledgers,
        network=network,
        columns=columns,
        decoded=decoded,
        transfers=transfers,
        verify_chain=verify_chain,
        verify_hashes=verify_hashes,
    )
    workers = workers_of(workers)
    asked = _asked(start, end, ledgers)
    if is_state(table):
        if where is not None or filter or columns is not None or projection:
            raise ConfigError(f"{table} has all that holds: choose rows and columns of what to_table returns")
        choices: Any = {"ledgers": asked, "network": network, "workers": workers, "specs": specs}
        return scan_state(table, lambda one: scan(source, table=one, **choices))
    typed = None
    if is_typed(table) and find_stored(source, table) is None:
        made = learned(source, [table], specs=specs, ledgers=asked, network=network)
        typed, network = made.tables, made.network
        table = typed.one(table)
    chosen = _named(Filter.of(where), filter, projection, table, columns, decoded=decoded)
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
        typed=typed,
    )
    Decoder.of([table], options)  # a bad filter is told now
    reading = _Reading(source, table, asked, network, options, workers or os.cpu_count() or 1)
    return Scan(table, str(source), picked.schema, lambda: picked.batches(reading.batches()))


def scan_typed(
    source: Place | Source,
    table: str,
    typed: TypedTables,
    *,
    ledgers: Ledgers,
    network: Network,
    workers: int | None = None,
) -> Scan:
    """Scan a table of those that were compiled for these ledgers."""
    options = DecodeOptions(network=network, typed=typed)
    asked = _asked(None, None, ledgers)
    reading = _Reading(source, table, asked, network, options, workers or os.cpu_count() or 1)
    return Scan(table, str(source), schema(table), reading.batches)


def _named(
    where: Filter,
    named: str | NamedQuery | None,
    projection: str | NamedQuery | None,
    table: str,
    columns: Sequence[str] | None,
    *,
    decoded: bool,
) -> Filter:
    """Return the filter with what named queries add to it."""
    if columns is not None and projection:
        raise ConfigError("columns say what the projection says: give one of them")
    known = Catalogue()
    where = known.filtered(where, named, [table], decoded=decoded)
    return known.projected(where, projection, [table], decoded=decoded)


def _extracted(
    source: Place | Source,
    table: str,
    where: Filter,
    columns: Sequence[str] | None,
    asked: LedgerSet | str | None,
) -> Scan | None:
    """Scan what was extracted into a folder or a sink; None where there is none, or not with this table."""
    if (folder := find_stored(source, table)) is None:
        return None
    picked = _Picked.of(table, folder.schema, where, columns, known=folder.schema)
    wanted = folder.read_ledgers(asked) if isinstance(asked, str) else asked
    batches = folder.batches(picked.where, wanted)
    if said := folder.departures.said(asked, wanted):
        warnings.warn(said, LedgersDeparted, stacklevel=4)
    if said := folder.lacking(wanted):
        warnings.warn(said, LedgersUnextracted, stacklevel=4)
    return Scan(table, str(source), picked.schema, lambda: picked.batches(batches()))


def find_stored(source: Place | Source, table: str) -> ExtractedTable | SunkTable | None:
    """Find a table that was extracted into a folder or a sink; None where the place is one of ledgers."""
    if not isinstance(source, str | os.PathLike):
        return None
    if ":" in str(source):
        from stellarrow.scanning.sunk import find_sunk, is_files, is_no_file  # noqa: PLC0415  loads sinks

        if is_files(str(source)):
            from stellarrow.sinks.files.dataset import find_table_at  # noqa: PLC0415  loads Arrow's datasets

            return find_table_at(str(source), table)
        if is_no_file(str(source)) or "://" in str(source):
            return find_sunk(str(source), table)
    from stellarrow.sinks.files.dataset import find_table  # noqa: PLC0415  loads Arrow's datasets

    return find_table(local_path(source), table)


def _asked(
    start: int | str | date | None, end: int | str | date | None, ledgers: Ledgers
) -> LedgerSet | str | None:
    if ledgers is not None:
        if start is not None or end is not None:
            raise ConfigError("start and end say what ledgers says: give one of them")
        return LedgerSet([ledgers]) if isinstance(ledgers, LedgerRange) else ledgers
    first, last = _end("start", start), _end("end", end)
    if isinstance(first, str) or isinstance(last, str) or (first is None and last is not None):
        return f"{'' if first is None else first}:{'' if last is None else last}"
    return None if first is None else LedgerSet([LedgerRange(first, last)])


def _end(name: str, given: Any) -> int | str | None:
    """Read one end: a ledger, a date or a datetime, or the text of one, as the command line takes it."""
    if given is None:
        return None
    if (written := moment(given)) is not None:
        return written
    if isinstance(given, str) and is_moment(without_spaces(given)):
        return given
    return number(name, given, least=0)


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
        names = set(held.names)
        if columns is not None and not names.issuperset(columns):
            where = replace(where, select=as_select(columns, names))
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
        for part in ledgers_there(source, self.asked):
            yield from self._part(source, decoder, part)

    def _part(self, source: Source, decoder: Decoder, part: LedgerRange) -> Iterator[pa.RecordBatch]:
        chain = Chain(part, verify=self.options.verify_chain)
        chunks = source.read(part)
        decode = refetching(decoder, source.refetch) if isinstance(source, Refetching) else decoder
        with closing(ordered(chunks, decode, workers=self.workers, budget=_BUDGET, cost=weight)) as made:
            for batch in made:
                chain.follow(batch.first, batch.last, batch.run)
                yield batch.tables[self.table]
        chain.end()
