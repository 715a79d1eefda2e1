"""Backfill: a new partition is loaded as a bare table, then indexed and attached in one transaction.

Until then its rows are durable, and `stellar.loading` says which ledgers they are, but no query sees them.
Where a connection is free meanwhile, it makes the indexes while states are brought up.
Locks are taken in one order, so that loaders and live writers never wait for each other in a ring: the bare
table, its row in `stellar.loading`, rows of `ledger_coverage`, rows of assets. Partitions are made under a
lock of their own (`partitions.reserve`), so that one load can begin while another is being finished.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg

from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.sinks.postgres import coverage, indexing, partitions, written_rows
from stellarrow.sinks.postgres.copy import copy_rows
from stellarrow.sinks.postgres.ddl import Layout
from stellarrow.sinks.postgres.flush import Overtaken, Writing, advance_states, note
from stellarrow.sinks.postgres.rows import rows_of


def durable(connection: psycopg.Connection, places: Sequence[str]) -> dict[str, LedgerSet]:
    """Return what each table has in partitions that are being loaded."""
    found = dict.fromkeys(places, LedgerSet())
    for place, ledgers in connection.execute(
        "SELECT table_name, ledgers FROM stellar.loading WHERE table_name = ANY(%s)", [list(places)]
    ):
        found[place] |= coverage.from_multirange(ledgers)
    return found


def under_way(connection: psycopg.Connection, place: str) -> list[int]:
    """Return the first ledgers of a table's partitions that are being loaded, by someone alive or dead."""
    found = connection.execute(
        "SELECT first_ledger FROM stellar.loading WHERE table_name = %s ORDER BY first_ledger", [place]
    )
    return [row[0] for row in found]


def join(writing: Writing, kept: Layout, first: int, *, begin: bool) -> bool:
    """Take part in loading a partition; False where it is attached already, or not there and not to begin.

    For as long as the connection lives, others see that a loader is at work.
    """
    connection = writing.connection
    with connection.transaction():
        partitions.reserve(connection, kept)
        if first not in under_way(connection, kept.place):
            if not begin or partitions.is_there(connection, kept.partition(first)):
                return False
            name = partitions.make(connection, kept, first, size=writing.partition_ledgers)
            connection.execute(
                "INSERT INTO stellar.loading (table_name, first_ledger, partition_name) VALUES (%s, %s, %s)",
                [kept.place, first, name],
            )
    connection.execute("SELECT pg_advisory_lock_shared(%s)", [_presence(connection, kept, first)])
    return True


def leave(writing: Writing, kept: Layout, first: int) -> None:
    """Take no part in loading a partition any more."""
    connection = writing.connection
    connection.execute("SELECT pg_advisory_unlock_shared(%s)", [_presence(connection, kept, first)])


def load(
    writing: Writing, kept: Layout, first: int, *, ledgers: LedgerSet, batches: Sequence[LedgerBatch]
) -> int | None:
    """Add ledgers to a partition that is being loaded; None where that has ended meanwhile."""
    try:
        return _load(writing, kept, first, ledgers=ledgers, batches=batches, careful=False)
    except Overtaken:
        return _load(writing, kept, first, ledgers=ledgers, batches=batches, careful=True)


def _load(
    writing: Writing,
    kept: Layout,
    first: int,
    *,
    ledgers: LedgerSet,
    batches: Sequence[LedgerBatch],
    careful: bool,
) -> int | None:
    connection, began, batch = writing.connection, datetime.now(UTC), uuid.uuid4()
    with connection.transaction():
        connection.execute(f"LOCK TABLE {kept.partition(first)} IN ROW EXCLUSIVE MODE".encode())
        loaded = _loaded(connection, kept, first, lock=careful)
        if loaded is None:
            return None
        missing = ledgers - loaded - coverage.read(connection, [kept.place])[kept.place]
        rows = rows_of(batches, kept.asked, missing)
        count = copy_rows(connection, kept.partition(first), kept, rows=rows, batch=batch)
        if not careful:
            loaded = _loaded(connection, kept, first, lock=True)
            if loaded is None or loaded & missing:
                raise Overtaken
        connection.execute(
            "UPDATE stellar.loading SET ledgers = ledgers + %s WHERE table_name = %s AND first_ledger = %s",
            [coverage.to_multirange(missing), kept.place, first],
        )
        written_rows.add(connection, kept.place, missing, rows)
        if kept.is_entries and missing:
            note(connection, batch, missing, count, began, status="processing")
        writing.keep_assets({kept.name: rows})
    return count


def finish(writing: Writing, kept: Layout, first: int, *, wait: bool) -> None:
    """Index a loaded partition and make it, its states and its coverage part of the table.

    Without `wait`, one that another living loader works on is left to that.
    """
    connection, name = writing.connection, kept.partition(first)
    if first not in under_way(connection, kept.place):
        return
    with connection.transaction():
        if not (wait or _is_alone(connection, kept, first)):
            return
        indexing.reserve(connection, name)
        connection.execute(f"LOCK TABLE {name} IN SHARE MODE".encode())
        loaded = _loaded(connection, kept, first, lock=True)
        if loaded is None:
            return

        def states() -> None:
            covered = coverage.read(connection, [kept.place], lock=True)[kept.place]
            if kept.is_entries and loaded:
                # The partition holds nothing else, so its holes need no care.
                whole = LedgerSet([LedgerRange(loaded.first, loaded.last)])
                advance_states(connection, name, whole, covered)

        indexing.build(connection, kept, first, spare=writing.spare, states=states)
        partitions.analyze(connection, kept, first)
        _attach(writing, kept, first, loaded)


def _attach(writing: Writing, kept: Layout, first: int, loaded: LedgerSet) -> None:
    connection, size = writing.connection, writing.partition_ledgers
    partitions.attach(connection, kept, first, size=size)
    connection.execute(
        "DELETE FROM stellar.loading WHERE table_name = %s AND first_ledger = %s", [kept.place, first]
    )
    if kept.is_entries and loaded:
        connection.execute(
            "UPDATE contract_data.ingestion_progress SET status = 'completed', completed_at = now()"
            " WHERE status = 'processing' AND start_ledger >= %s AND end_ledger < %s",
            [first, first + size],
        )
    coverage.add(connection, kept.place, loaded)


def _loaded(connection: psycopg.Connection, kept: Layout, first: int, *, lock: bool) -> LedgerSet | None:
    row = connection.execute(
        "SELECT ledgers FROM stellar.loading WHERE table_name = %s AND first_ledger = %s"
        + (" FOR UPDATE" if lock else ""),
        [kept.place, first],
    ).fetchone()
    return coverage.from_multirange(row[0]) if row else None


def _is_alone(connection: psycopg.Connection, kept: Layout, first: int) -> bool:
    row = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s)", [_presence(connection, kept, first)]
    ).fetchone()
    return bool(row and row[0])


def _presence(connection: psycopg.Connection, kept: Layout, first: int) -> int:
    """Return the number of the advisory lock that all who load a partition share."""
    row = connection.execute("SELECT hashtextextended(%s, 0)", [kept.partition(first)]).fetchone()
    return int(row[0]) if row else 0
