"""The pipeline as a call: places may be named instead of opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cache

from stellarrow.core.options import DecodeOptions
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline import loop
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.pipeline.loop import Limits, Progress, Report
from stellarrow.protocols import Sink, Source


def run(
    source: str | os.PathLike[str] | Source,
    *,
    tables: Sequence[str],
    sinks: Sequence[str | Sink],
    network: str | Network | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    where: Filter | str | None = None,
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
) -> Report:
    """Bring every wanted ledger that a sink lacks into the sinks, and return what was done.

    `source` is a path, glob, URL or source, `sinks` are such as `parquet:FOLDER`, or sinks; what is named is
    closed at the end. `ledgers` may be text as the command line takes it, such as `2024-07-01:+1d`; without
    it takes all the source has. `where` is a Filter or a condition in SQL, `select` what SQL has after
    SELECT. A ledger that cannot be read or decoded stops it, with all before
    durable; the same call continues from there. With `dead_letters`, a ledger that cannot be decoded, or
    whose rows a sink refuses, is kept there instead and stays a gap. Once `stop` is set it finishes the
    batch in hand, commits and returns. `progress` is called after every batch. `verify_hashes` says whether
    transaction sets and results are checked against headers; None checks what comes over a network.
    """
    chosen = _checked(source, sinks, Filter.of(where, select=select))
    with _opened(source, network) as (reading, known), ExitStack() as stack:
        wanted = cache(lambda: loop.wanted_ledgers(reading, ledgers))
        options = DecodeOptions(
            network=known,
            where=chosen,
            decoded=decoded,
            transfers=transfers,
            verify_chain=verify_chain,
            verify_hashes=verify_hashes,
        )
        return loop.run(
            reading,
            tables=tables,
            sinks=_sinks(sinks, tables, options, wanted, stack),
            options=options,
            limits=Limits(workers, budget_mb, commit_every),
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
