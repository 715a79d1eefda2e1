"""Partitions of constant size, made when the first ledger of one comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import psycopg

from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.postgres.ddl import Layout

_BYTES_A_TARGET: Final = 9 << 20  # what 15,000 rows of contract data take, of which 300 are looked at


def aligned(ledgers: LedgerSet, size: int) -> Iterator[tuple[int, LedgerSet]]:
    """Split ledgers by the partitions they belong to; yield each one's first ledger with them."""
    at: int | None = None
    parts: list[LedgerRange] = []
    for part in ledgers:
        first = part.first
        while first <= part.end:
            start = first // size * size
            if at is not None and start != at:
                yield at, LedgerSet(parts)
                parts = []
            at = start
            last = min(part.end, start + size - 1)
            parts.append(LedgerRange(first, last))
            first = last + 1
    if at is not None:
        yield at, LedgerSet(parts)


def is_there(connection: psycopg.Connection, name: str) -> bool:
    """Tell whether there is such a table, also right after waiting for whoever has just made it."""
    # to_regclass may answer out of a cache older than the lock that was waited for.
    found = connection.execute(
        "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s", name.split(".", 1)
    )
    return found.fetchone() is not None


def reserve(connection: psycopg.Connection, kept: Layout) -> None:
    """Let nobody else make partitions of a table until the transaction ends.

    Not by the lock on its coverage, which whoever finishes a load holds for as long as states take.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [kept.place])


def make(connection: psycopg.Connection, kept: Layout, first: int, *, size: int) -> str:
    """Make a partition as a table of its own, without indexes and not yet attached; return its name.

    Its check says what attaching would otherwise scan for.
    """
    name = kept.partition(first)
    connection.execute(
        f"CREATE TABLE {name} (LIKE {kept.place} INCLUDING DEFAULTS,"
        f" CHECK (ledger_sequence >= {first} AND ledger_sequence < {first + size}))".encode()
    )
    return name


def hold_tables(connection: psycopg.Connection, places: Iterable[str]) -> None:
    """Keep tables as they are until the transaction ends; before any partition, as whoever changes them does.

    Writing to a partition alone may look at its table afterwards, for the bounds that its rows must keep.
    """
    for place in places:
        connection.execute(f"LOCK TABLE ONLY {place} IN ACCESS SHARE MODE".encode())


def index(connection: psycopg.Connection, kept: Layout, first: int) -> None:
    """Give a partition its table's indexes, which nobody may take away until the transaction ends."""
    hold_tables(connection, [kept.place])
    connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    # Below, parallel workers cost more CPU to come and go than they save, and other writers have use for it.
    connection.execute("SET LOCAL min_parallel_table_scan_size = '1GB'")
    connection.execute("SELECT stellar.index_like(%s, %s)", [kept.partition(first), kept.place])


def analyze(connection: psycopg.Connection, kept: Layout, first: int) -> None:
    """Take the statistics that queries are planned by, of a small partition from about every fiftieth row."""
    # PostgreSQL looks at 300 rows for each unit of its target, 100 by default, however few there are in all.
    connection.execute(
        "SELECT set_config(name, least(setting::int, greatest(10, pg_relation_size(%s::regclass) / %s))"
        "::text, true) FROM pg_settings WHERE name = 'default_statistics_target'",
        [kept.partition(first), _BYTES_A_TARGET],
    )
    connection.execute(f"ANALYZE {kept.partition(first)} ({kept.searched})".encode())


def attach(connection: psycopg.Connection, kept: Layout, first: int, *, size: int) -> None:
    """Make a partition part of its table; readers and writers of others are not held up."""
    connection.execute(
        f"ALTER TABLE {kept.place} ATTACH PARTITION {kept.partition(first)}"
        f" FOR VALUES FROM ({first}) TO ({first + size})".encode()
    )
