"""Figures over time windows, counted from ledgers or stored tables, or asked of a processor."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from stellarrow.analysis.request import FiguresRequest
from stellarrow.analysis.windows import NAMES, Analytics
from stellarrow.core.arguments import check, workers_of
from stellarrow.core.decode import Decoder
from stellarrow.core.rows import chosen_columns, no_rows
from stellarrow.errors import ConfigError, LedgerMissing, SourceError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.ledgers.dates import read_moment
from stellarrow.ledgers.numbers import moment, whole
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline.hash_chain import Chain
from stellarrow.pipeline.loop import weight
from stellarrow.pipeline.parallel import ordered
from stellarrow.protocols import Source
from stellarrow.scanning.result import LedgersDeparted, LedgersUnextracted
from stellarrow.scanning.unbroken import ledgers_there
from stellarrow.storage.paths import local_path

if TYPE_CHECKING:
    from stellarrow.analysis.reads.stored_table import StoredTable
    from stellarrow.scanning.sunk import SunkTable

_BUDGET: Final = 64 << 20  # bytes that ledgers in flight and their rows may take
_MOST_BYTES: Final = 1 << 30
_MOST_KEYS: Final = 1_000_000
_FLIGHT: Final = ("flight", "flights")


def analytics(
    source: str | os.PathLike[str] | Source,
    name: str,
    *,
    window: str | None = None,
    asset: str | None = None,
    contract: str | None = None,
    top: int | None = None,
    by: str | None = None,
    start: str | date | None = None,
    end: str | date | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    network: str | Network | None = None,
    session: str | None = None,
    token: str | None = None,
    workers: int | None = None,
) -> pa.Table:
    """Return figures over time windows, a row a window, the oldest first, or with `top` a row a key.

    They are the same as SQL over the stored rows gives: docs/analytics.md has every column. A processor,
    which keeps them as ledgers come, answers at once, with the windows that are kept; of ledgers and stored
    tables all windows are counted.

    Args:
        source: A path, glob or URL of ledgers, a Source, a folder that `run` wrote or what `--to` takes, such
            as `delta:FOLDER`, or a processor's Flight: `flight://HOST:8816`, with TLS `flights://`.
        name: `network`, `transfers`, `events` or `storage`.
        window: `1m`, `5m`, `1h` (by default), `24h` (by default with `top`), `7d` or `total`; in UTC.
        asset: Of transfers, those of one: `native` or `XLM`, `CODE:ISSUER`, or its contract.
        contract: Of events and storage, those of one contract.
        top: Instead of windows, so many assets or contracts that are foremost in the newest window.
        by: By what they are: `volume`, `transfers`, `transactions`, `mints`, `burns`, `events` or `changes`.
        start: Only windows that begin at or after a date or time, such as `2024-07-01` or `-1d`.
        end: Only windows that begin up to then.
        ledgers: Which ledgers are counted, as `scan` takes them; None takes all that are there.
        network: A name such as `pubnet`, or a passphrase. None takes what the place tells.
        session: Which of a processor's sessions is meant; None takes the foremost.
        token: What a processor that asks who calls is shown.
        workers: How many threads decode; None takes as many as there are processors.

    Raises:
        ConfigError: An argument makes no sense.
        SourceError: The ledgers, the tables or the processor cannot be read.
    """
    check(source=source, name=name, ledgers=ledgers, network=network)
    workers = workers_of(workers)
    given = {"window": window, "asset": asset, "contract": contract, "top": top, "by": by, "session": session}
    request = FiguresRequest.of(name, _plain({**given, "from": start, "to": end}))
    if isinstance(source, str) and source.partition("://")[0] in _FLIGHT:
        return _asked(source, request, token, ledgers, network)
    if session or token:
        raise ConfigError("session and token are of a processor: name its Flight, such as flight://HOST:8816")
    keyed = bool(top or request.key)
    made = Analytics(
        most_keys=_MOST_KEYS if keyed else 0,
        most_bytes=_MOST_BYTES,
        only=request.key or None,
        keeps_all=True,
    )
    wanted = LedgerSet([ledgers]) if isinstance(ledgers, LedgerRange) else ledgers
    if sunk := _sunk(source, NAMES[name].table):
        _count_sunk(made, sunk, wanted)
    elif stored := _stored(source, NAMES[name].table):
        return _answered_stored(made, stored, wanted, request)
    else:
        _count_ledgers(made, source, name, wanted, network=network, workers=workers)
    return request.answer(made).rows


def _plain(given: Mapping[str, object]) -> dict[str, object]:
    """Write numbers and times of any library as commands have them."""
    read = {name: whole(value) if name == "top" else moment(value) for name, value in given.items()}
    return {name: value if read[name] is None else read[name] for name, value in given.items()}


def _sunk(source: str | os.PathLike[str] | Source, table: str) -> SunkTable | None:
    """Return the table of a sink without plain files, None where the source is none."""
    if not isinstance(source, str) or ":" not in source:
        return None
    from stellarrow.scanning.sunk import find_sunk, is_files, is_no_file  # noqa: PLC0415  loads sinks

    is_one = not is_files(source) and (is_no_file(source) or "://" in source)
    return find_sunk(source, table) if is_one else None


def _stored(source: str | os.PathLike[str] | Source, table: str) -> StoredTable | None:
    """Return the table of what was extracted into files, None where the source is of ledgers."""
    if not isinstance(source, str | os.PathLike):
        return None
    from stellarrow.analysis.reads.stored import Stored  # noqa: PLC0415  loads Arrow's datasets
    from stellarrow.scanning.sunk import is_files  # noqa: PLC0415  loads sinks
    from stellarrow.sinks.files.dataset import find_table  # noqa: PLC0415  loads Arrow's datasets

    place = os.fspath(source)
    if not is_files(place):
        # Tells what else a path may be, and whether it has the table.
        if "://" in place or not find_table(local_path(place), table):
            return None
        place = str(local_path(place))
    tables = Stored(place).tables
    if table not in tables:
        has = ", ".join(sorted(tables))
        raise SourceError(f"{redacted_url(place)} was extracted without {table}: it has {has}")
    return tables[table]


def _count_sunk(made: Analytics, sunk: SunkTable, asked: LedgerSet | str | None) -> None:
    name, due = sunk.held.name, sunk.wanted_ledgers(asked)
    chosen_columns(sunk.schema, ("ledger_sequence", "closed_at"), f"{name} in {sunk.place}")
    rows, closed = pa.RecordBatch.from_pylist([], sunk.schema), 0
    for part in due:
        for rows in sunk.held.read(sunk.schema.names, part):
            if rows.num_rows:
                last, closed = rows["ledger_sequence"][-1].as_py(), rows["closed_at"][-1].value // 1_000_000
                made.add({name: rows.cast(sunk.schema)}, LedgerRange(last, last), closed)
    if due:
        made.add({name: rows.cast(sunk.schema).slice(0, 0)}, LedgerRange(due.last, due.last), closed)
    if said := sunk.lacking(sunk.read_ledgers(asked) if isinstance(asked, str) else asked):
        warnings.warn(said, LedgersUnextracted, stacklevel=3)


def _answered_stored(
    made: Analytics, stored: StoredTable, asked: LedgerSet | str | None, request: FiguresRequest
) -> pa.Table:
    said = _count_stored(made, stored, asked)
    rows = request.answer(made).rows
    if said:
        if not rows.num_rows and _all_left(stored, request):
            raise LedgerMissing(said)
        warnings.warn(said, LedgersDeparted, stacklevel=3)
    if said := _lacking(stored, asked):
        warnings.warn(said, LedgersUnextracted, stacklevel=3)
    return rows


def _lacking(stored: StoredTable, asked: LedgerSet | str | None) -> str:
    """Say which ledgers of those asked for a table lacks; empty where none is."""
    from stellarrow.sinks.files.dataset import ExtractedTable  # noqa: PLC0415  loads Arrow's datasets
    from stellarrow.sinks.files.departures import sentence  # noqa: PLC0415  the same
    from stellarrow.sinks.files.lacking import absent, lacking, worth_a_warning  # noqa: PLC0415  the same

    wanted = ExtractedTable(stored.listing).read_ledgers(asked) if isinstance(asked, str) else asked
    parts = [LedgerRange(0)] if wanted is None else [*wanted]
    known = stored.coverage | stored.departures.gone
    found = LedgerSet(one for part in parts for one in lacking(known, part, reach=stored.reach))
    if wanted is None:
        found = worth_a_warning(found, known)
    return sentence(absent(stored.listing.shape.facts["table"], found))


def _count_stored(made: Analytics, stored: StoredTable, asked: LedgerSet | str | None) -> str:
    """Count rows of these ledgers; return what of them was archived or deleted, in a sentence."""
    from stellarrow.analysis.reads.conditions import Compiled  # noqa: PLC0415  loads Arrow's datasets
    from stellarrow.sinks.files.dataset import ExtractedTable  # noqa: PLC0415  the same

    wanted = ExtractedTable(stored.listing).read_ledgers(asked) if isinstance(asked, str) else asked
    name = stored.listing.shape.facts["table"]
    chosen_columns(stored.schema, ("ledger_sequence", "closed_at"), stored.listing)
    due = stored.coverage if wanted is None else stored.coverage & wanted
    said = stored.departures.said(asked, wanted)
    if said and not due:
        raise LedgerMissing(said)
    rows, closed = no_rows(stored.schema), 0
    for part in due:
        for rows in stored.within(part, stored.schema.names, Compiled()):
            if rows.num_rows:
                last, closed = rows["ledger_sequence"][-1].as_py(), rows["closed_at"][-1].value // 1_000_000
                made.add({name: rows}, LedgerRange(last, last), closed)
    if due:
        made.add({name: rows.slice(0, 0)}, LedgerRange(due.last, due.last), closed)
    return said


def _all_left(stored: StoredTable, request: FiguresRequest) -> bool:
    """Tell whether a request is of times alone that are before all ledgers which are here."""
    departures = stored.departures
    if not request.end or departures.gone.last > stored.coverage.first:
        return False
    second = read_moment(request.end).last
    left = departures.closed_from(second)
    return left is not None and departures.began_by(left) <= second


def _count_ledgers(
    made: Analytics,
    source: str | os.PathLike[str] | Source,
    name: str,
    asked: LedgerSet | str | None,
    *,
    network: str | Network | None,
    workers: int | None,
) -> None:
    from stellarrow.registry import find_network  # noqa: PLC0415  loads sources and sinks

    threads = workers or os.cpu_count() or 1
    with _opened(source) as reading:
        known = find_network(reading, network)
        decoder = Decoder([NAMES[name].table], network=known, keeps_counted=True)
        for part in ledgers_there(reading, asked):
            chain = Chain(part, verify=True)
            chunks = reading.read(part)
            made_ahead = ordered(chunks, decoder, workers=threads, budget=_BUDGET, cost=weight)
            with closing(made_ahead) as batches:
                for batch in batches:
                    chain.follow(batch.first, batch.last, batch.run)
                    made.count(batch)
            chain.end()


@contextmanager
def _opened(source: str | os.PathLike[str] | Source) -> Iterator[Source]:
    if not isinstance(source, str | os.PathLike):
        yield source
        return
    from stellarrow.registry import open_source  # noqa: PLC0415  loads sources and sinks

    with closing(open_source(os.fspath(source))) as opened:
        yield opened


def _asked(
    url: str,
    request: FiguresRequest,
    token: str | None,
    ledgers: LedgerSet | LedgerRange | str | None,
    network: str | Network | None,
) -> pa.Table:
    if ledgers is not None:
        raise ConfigError("a processor's figures are of all its ledgers: leave ledgers out, or name a source")
    from stellarrow.scanning.asked_figures import ask  # noqa: PLC0415  heavy

    return ask(url, request, token, network)
