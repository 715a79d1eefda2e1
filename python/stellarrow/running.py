"""The pipeline as a call: places may be named instead of opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from typing import Any

from stellarrow.core.arguments import as_select, check, number, seconds, workers_of
from stellarrow.core.named_queries import Catalogue
from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import is_typed, schema
from stellarrow.core.typed import Specs
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline import loop
from stellarrow.pipeline.contract_specs import learned
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.pipeline.loop import Limits, Progress, Report
from stellarrow.protocols import Sink, Source
from stellarrow.sql.named import NamedQuery


def run(
    source: str | os.PathLike[str] | Source,
    *,
    tables: Sequence[str],
    sinks: Sequence[str | Sink] | str | Sink,
    network: str | Network | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    where: Filter | str | None = None,
    filter: str | NamedQuery | None = None,
    columns: Sequence[str] | None = None,
    select: str = "",
    decoded: bool = False,
    transfers: str = "derive",
    verify_chain: bool = True,
    verify_hashes: bool | None = None,
    workers: int | None = None,
    budget_mb: int = 64,
    commit_every: float = 60.0,
    dead_letters: DeadLetters | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
    specs: Specs | None = None,
) -> Report:
    """Bring every wanted ledger that a sink lacks into the sinks, and return what was done.

    A ledger that cannot be read or decoded stops it, with all before durable; the same call continues from
    there. What is named is closed at the end, what is given opened stays open.

    Args:
        source: A path, glob or URL of ledgers, `-` for stdin, a comma list of them, or a Source.
        tables: Names, as `name` for the newest version or `name@version`; `sa.tables()` lists them.
        sinks: Where rows go: text such as `parquet:FOLDER` or `postgres://…`, a Sink, or a list of them.
        network: A name such as `pubnet`, or a passphrase. None takes what the place tells, such as a lake's
            manifest; where it tells none, name it.
        ledgers: A LedgerRange, a LedgerSet, or text as the command line takes it, such as `"58752000:+1000"`
            or `"2024-07-01:+1d"`. None takes all that the source has; an open range such as `"58752000:"`
            follows the chain.
        where: Which rows to keep: a Filter, or a condition in SQL such as `amount_raw > 10000000`.
        filter: A named filter that must hold, too: the name of one that is ready-made, such as
            `large_amounts`, or one of `sa.queries(FILE)`.
        columns: Which columns to make, in order: names, or SQL such as `amount_raw / 10000000 as amount`.
            None makes all. The ledger of each row is kept besides. Takes the extra `sql`.
        select: The same in one text, what SQL has after SELECT.
        decoded: Add the columns made on request: values as XDR-JSON (SEP-51), contracts' interfaces (SEP-48).
        transfers: What token_transfers are read from: `derive`, operations, results and contract events;
            `unified`, the events of CAP-67 alone, an error where a ledger has none.
        verify_chain: Check that each ledger names the hash of the one before.
        verify_hashes: Check that transaction sets and results have the hashes that headers name. None does so
            for what comes over a network.
        workers: How many threads decode; None takes as many as there are processors.
        budget_mb: How many MB (2^20 bytes) the ledgers in flight and their rows may take, about.
        commit_every: After how many seconds at the latest what was written is made durable.
        dead_letters: Where ledgers that cannot be decoded, or whose rows a sink refuses, are kept instead of
            stopping the run; they stay a gap.
        stop: Once it is set, the batch in hand is finished and committed, and run returns.
        progress: Called after every batch, and when what was written became durable, with how far the run is;
            the value is changed by the next call.
        specs: Interfaces for typed tables (`typed:C…`) that the ledgers do not have: by contract, or hash of
            code, a WebAssembly file or its bytes, or `stellar-asset`. What else there is to know of typed
            tables is read from the ledgers before.

    Returns:
        A Report: how many ledgers, bytes and rows, which ranges are durable, what was skipped or left out.

    Raises:
        ConfigError: An argument makes no sense.
        SourceError: Ledgers cannot be read; DecodeError, NetworkMismatch or ChainBroken: they are not sound.
        SinkError: Rows cannot be kept.
    """
    check(
        source=source,
        tables=tables,
        filter=filter,
        network=network,
        ledgers=ledgers,
        columns=columns,
        select=select,
        decoded=decoded,
        transfers=transfers,
        verify_chain=verify_chain,
        verify_hashes=verify_hashes,
    )
    budget = number("budget_mb", budget_mb, least=1)
    limits = Limits(workers_of(workers), budget, seconds("commit_every", commit_every))
    sinks = _listed(sinks)
    made = None
    if any(map(is_typed, tables)):
        told: Any = {"specs": specs, "ledgers": ledgers, "network": network, "follows": True}
        made = learned(source, tables, sinks=sinks, **told)
        tables, network = made.tables.expand(tables), made.network
    select = select if columns is None else _select(columns, select, tables, decoded)
    named = Catalogue().filtered(Filter.of(where, select=select), filter, tables, decoded=decoded)
    chosen = _checked(source, sinks, named)
    with _opened(source, network) as (reading, known), ExitStack() as stack:
        wanted = cache(lambda: loop.wanted_ledgers(reading, ledgers))
        options = DecodeOptions(
            network=known,
            where=chosen,
            decoded=decoded,
            transfers=transfers,
            verify_chain=verify_chain,
            verify_hashes=verify_hashes,
            typed=made.tables if made else None,
        )
        followed = made.followed(tables, options) if made and loop.is_open(wanted()) else None
        return loop.run(
            followed.noted_by(reading) if followed else reading,
            decoder=followed,
            tables=tables,
            sinks=_sinks(sinks, tables, options, wanted, stack),
            options=options,
            limits=limits,
            ledgers=None if ledgers is None else wanted(),
            dead_letters=dead_letters,
            stop=stop,
            progress=progress,
        )


def _checked(source: str | os.PathLike[str] | Source, sinks: Sequence[str | Sink], where: Filter) -> Filter:
    """Refuse what cannot work before anything is opened; return the filter."""
    from stellarrow import extras, registry  # noqa: PLC0415  loads sources and sinks

    named = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    in_sql = ["sql"] if where.where or where.select else []
    places = [place for place in sinks if isinstance(place, str)]
    extras.require("this run", *registry.extras_of(named, sinks=places), *in_sql)
    registry.check_apart(sinks)
    return where


@contextmanager
def _opened(
    source: str | os.PathLike[str] | Source, network: str | Network | None
) -> Iterator[tuple[Source, Network]]:
    """Open a source that is named, and close it at the end; with it comes its network."""
    from stellarrow import registry  # noqa: PLC0415  loads sources and sinks

    with ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            source = stack.enter_context(closing(registry.open_source(os.fspath(source))))
        yield source, registry.find_network(source, network)


def _sinks(
    sinks: Sequence[str | Sink],
    tables: Sequence[str],
    options: DecodeOptions,
    expected: Callable[[], LedgerSet],
    stack: ExitStack,
) -> list[Sink]:
    """Open the sinks that are named; they are closed with the stack."""
    from stellarrow import registry  # noqa: PLC0415  loads sources and sinks

    def opened(place: str) -> Sink:
        made = registry.open_sink(place, tables, registry.SinkOptions.of(options, expected=expected))
        return stack.enter_context(closing(made))

    return [opened(sink) if isinstance(sink, str) else sink for sink in sinks]


def _listed(given: Sequence[str | Sink] | str | Sink) -> list[str | Sink]:
    """Return the sinks as a list: one may be given alone."""
    sinks = [*given] if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    for one in sinks:
        if not isinstance(one, str | Sink):
            raise ConfigError(
                f"sinks has {one!r}: give text such as 'parquet:./out', a Sink, or a list of them"
            )
    return sinks


def _select(columns: Sequence[str], select: str, tables: Sequence[str], decoded: bool) -> str:
    if select:
        raise ConfigError("columns say what select says: give one of them")
    return as_select(columns, {name for one in tables for name in schema(one, decoded=decoded).names})
