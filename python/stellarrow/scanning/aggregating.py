"""Figures of a table's rows, out of ledgers as they are read or of a folder that was extracted."""

from __future__ import annotations

import os
from datetime import date
from typing import Any

import pyarrow as pa

from stellarrow.core.named_queries import Catalogue
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.protocols import Source
from stellarrow.scanning.reading import scan
from stellarrow.sql.named import AGGREGATE, NamedQuery


def queries(file: str | os.PathLike[str] | None = None) -> dict[str, NamedQuery]:
    """Return the named queries there are, by name: the ready-made ones, and those that a file saves.

    Args:
        file: A settings file with a section [queries], such as `stellarrow.toml`; None has none.

    Raises:
        ConfigError: The file cannot be read, or saves a query that cannot be meant.
    """
    from stellarrow.config.saved_queries import catalogue  # noqa: PLC0415  few need it

    known: dict[str, NamedQuery] = {}
    for one in catalogue(file):
        known.setdefault(one.name, one)
    return known


def aggregate(
    source: str | os.PathLike[str] | Source,
    asked: str | NamedQuery,
    *,
    table: str | None = None,
    window: str | None = None,
    start: int | str | date | None = None,
    end: int | str | date | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    network: str | Network | None = None,
    where: Filter | str | None = None,
    filter: str | NamedQuery | None = None,
    transfers: str = "derive",
    workers: int | None = None,
) -> pa.Table:
    """Aggregate a table of ledgers, or of a folder that was extracted, a row a group.

    Sums are exact: a number of 38 digits, null where more are needed, and beside it the same as text.

    Args:
        source: A path, glob or URL of ledgers, `-` for stdin, a Source, or a folder that `run` wrote.
        asked: The name of an aggregate that is ready-made, such as `volume_by_asset`; one of
            `sa.queries(FILE)`; or, with `table`, an expression such as `sum(amount_raw) as volume by asset`.
        table: The table, where an expression is given, or a query is of several.
        window: `1m`, `5m`, `1h`, `24h` or `7d`: each group by when its ledgers closed, in UTC, as column
            `window_start`. None takes the whole range as one.
        start: The first ledger, or a date, as scan takes it.
        end: The last ledger, or a date, as scan takes it.
        ledgers: Instead of `start` and `end`, as scan takes them.
        network: A name such as `pubnet`, or a passphrase. None takes what the place tells.
        where: Which rows to aggregate: a Filter, or a condition in SQL.
        filter: A named filter that must hold, too, such as `successful_payments`.
        transfers: What token_transfers are read from: `derive` or `unified`, as scan takes it.
        workers: How many threads decode; None takes as many as there are processors.

    Returns:
        A pyarrow.Table, in the order of windows and groups.

    Raises:
        ConfigError: An argument makes no sense, or there are too many groups.
        SourceError: Ledgers cannot be read.
    """
    from stellarrow.sql.aggregator import Aggregator  # noqa: PLC0415  an extra
    from stellarrow.sql.windows import window_named  # noqa: PLC0415  an extra

    name, meant = Catalogue().aggregation(_meant(asked, table), table)
    aggregator = Aggregator(meant, window_named(window or ""))
    rows = scan(
        source,
        table=name,
        start=start,
        end=end,
        ledgers=ledgers,
        network=network,
        where=where,
        filter=filter,
        transfers=transfers,
        workers=workers,
    )
    for batch in rows:
        aggregator.add(batch)
    return aggregator.answer()


def _meant(asked: Any, table: str | None) -> str | NamedQuery:
    """Take an expression for a query without a name."""
    if isinstance(asked, NamedQuery) or (isinstance(asked, str) and asked.replace("_", "").isalnum()):
        return asked
    if not isinstance(asked, str):
        raise ConfigError(f"asked is {asked!r}: give a name such as 'volume_by_asset', or an expression")
    if table is None:
        raise ConfigError(f"{asked!r} is an expression: name the table, too")
    return NamedQuery(name="expression", table=table, kind=AGGREGATE, expression=asked)
