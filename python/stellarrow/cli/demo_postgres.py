"""The demo's ledgers in a database, and what it says when asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from stellarrow.cli.output import formatting, progress_bar, result_table
from stellarrow.core.options import DecodeOptions
from stellarrow.extras import needing
from stellarrow.ledgers import Network
from stellarrow.pipeline import loop
from stellarrow.protocols import Source
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.embedded import PrivateServer
from stellarrow.sinks.postgres.server import Server

with needing("PostgreSQL", "postgres"):
    import psycopg

_TABLES: Final = ("ledgers", "contract_data", "token_transfers")


@dataclass(frozen=True, slots=True)
class _Query:
    """A question in words and in SQL."""

    asked: str
    sql: str


_QUERIES: Final = (
    _Query(
        "Who holds most of the asset that most contracts hold?",
        """
        SELECT a.asset_code AS asset, h.balance_holder AS holder, h.balance
        FROM (SELECT * FROM contract_data.asset_summary ORDER BY holder_count DESC, asset_code LIMIT 1) a,
            contract_data.get_top_holders(a.asset_code, a.asset_issuer, 3) h
        """,
    ),
    _Query(
        "Which contracts were busiest?",
        """
        SELECT contract_id AS contract, count(*) AS changes, count(*) FILTER (WHERE deleted) AS removed,
            max(ledger_sequence) AS last_ledger
        FROM contract_data.entries GROUP BY contract_id ORDER BY changes DESC, contract_id LIMIT 3
        """,
    ),
    _Query(
        "What moved most often?",
        """
        SELECT coalesce(asset_code, asset_type, contract_id) AS token, event_type AS kind, count(*) AS times,
            sum(amount_text::numeric) AS amount
        FROM stellar.token_transfers GROUP BY 1, 2 ORDER BY times DESC, token LIMIT 3
        """,
    ),
)


def show(console: Console, source: Source, network: Network, *, url: str | None, folder: Path) -> None:
    """Load ledgers into a database, a private one unless a URL names another, and ask it three questions."""
    began = time.monotonic()
    with _database(url, folder) as (place, name):
        with (
            closing(PostgresSink(place, _TABLES, network=network, mode="auto")) as sink,
            progress_bar.shown("PostgreSQL") as progress,
        ):
            options = DecodeOptions(network=network)
            report = loop.run(source, tables=_TABLES, sinks=[sink], options=options, progress=progress)
        console.print(f"\n[bold]The synthetic ledgers in PostgreSQL[/bold] → {name}", soft_wrap=True)
        rows = sum(report.rows.values())
        if rows:
            console.print(
                f"  {formatting.count(rows)} rows in {formatting.seconds(time.monotonic() - began)}"
            )
        else:
            console.print("  all were already there, nothing to do")
        with closing(Server(place).connect()) as connection:
            for query in _QUERIES:
                _answer(console, connection, query)


@contextmanager
def _database(url: str | None, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield where the database is, and how people call it."""
    if url:
        yield url, Server(url).name
        return
    with PrivateServer(folder, durable=False) as server:
        yield server.url, f"a private server in {folder}, stopped after this"


def _answer(console: Console, connection: psycopg.Connection, query: _Query) -> None:
    began = time.monotonic()
    cursor = connection.execute(query.sql.encode())
    rows = cursor.fetchall()
    took = formatting.seconds(time.monotonic() - began)
    numbers = {
        column.name: bool(rows) and not isinstance(rows[0][at], str)
        for at, column in enumerate(cursor.description or ())
    }
    console.print(f"  {query.asked} ({took})")
    result_table.bare(numbers, ([_text(value) for value in row] for row in rows), console)


def _text(value: Any) -> str:
    if isinstance(value, Decimal | int):
        return f"{value:,}"
    return formatting.address(value) if isinstance(value, str) else str(value)
