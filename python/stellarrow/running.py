"""The pipeline as a call: places may be named instead of opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import cache

from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.pipeline import loop
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.pipeline.loop import Progress, Report
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
    from stellarrow import extras, registry  # noqa: PLC0415  loads sources and sinks

    chosen = Filter.of(where, select=select)
    named = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    in_sql = ["sql"] if chosen.where or chosen.select else []
    places = [place for place in sinks if isinstance(place, str)]
    extras.require("this run", *registry.extras_of(named, sinks=places), *in_sql)
    registry.check_apart(sinks)
    with ExitStack() as stack:
        opened = source
        if isinstance(opened, str | os.PathLike):
            opened = stack.enter_context(closing(registry.open_source(os.fspath(opened))))
        known = registry.find_network(opened, network)
        reading = opened
        wanted = cache(lambda: loop.wanted_ledgers(reading, ledgers))

        def sink(place: str | Sink) -> Sink:
            if not isinstance(place, str):
                return place
            made = registry.open_sink(
                place,
                tables,
                network=known,
                where=chosen,
                decoded=decoded,
                transfers=transfers,
                expected=wanted,
            )
            return stack.enter_context(closing(made))

        return loop.run(
            reading,
            tables=tables,
            sinks=[sink(place) for place in sinks],
            network=known,
            ledgers=None if ledgers is None else wanted(),
            where=chosen,
            decoded=decoded,
            transfers=transfers,
            verify_chain=verify_chain,
            verify_hashes=verify_hashes,
            workers=workers,
            budget_mb=budget_mb,
            commit_every=commit_every,
            dead_letters=dead_letters,
            stop=stop,
            progress=progress,
        )
