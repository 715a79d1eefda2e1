"""One flush: the rows of some ledgers into indexed partitions, states, coverage and progress, all at once.

Rows are copied first, and the lock on the tables' coverage is taken after: writers copy side by side, and
wait for each other only for the states. Who then finds that another has added the same ledgers starts again,
this time with the lock taken first, once nobody copies who would then wait for it.
Writers of the same ledgers wait for each other's keys: all copy in one order, of tables and of ledgers.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final

import psycopg
import pyarrow as pa
from psycopg.errors import UniqueViolation

from stellarrow.ledgers import LedgerBatch, LedgerSet
from stellarrow.sinks.postgres import assets, coverage, partitions, written_rows
from stellarrow.sinks.postgres.copy import copy_rows
from stellarrow.sinks.postgres.ddl import Layout
from stellarrow.sinks.postgres.indexing import Spare
from stellarrow.sinks.postgres.rows import rows_of

Wanted = Mapping[Layout, LedgerSet]

_COPYING: Final = 3  # a seed, so that the lock is one of its own


class LoadedBare(Exception):
    """A partition that rows should go to is being loaded outside its table."""


class Overtaken(Exception):
    """Another writer has added some of the same ledgers meanwhile."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What every write through one connection shares; `partitions` are those known to be there.

    `spare` lends another connection while nobody writes through it.
    """

    connection: psycopg.Connection
    assets: assets.Assets
    partition_ledgers: int
    partitions: set[str]
    spare: Spare

    def keep_assets(self, rows: Mapping[str, Sequence[pa.RecordBatch]]) -> None:
        found: dict[str, assets.Asset] = {}
        for name, parts in rows.items():
            for part in parts:
                found |= self.assets.proved(name, part)
        if found:
            assets.keep(self.connection, found)


def write(writing: Writing, batches: Sequence[LedgerBatch], wanted: Wanted) -> int:
    """Add the wanted ledgers of each table that it lacks, in one transaction, and return the rows."""
    wanted = {kept: wanted[kept] for kept in sorted(wanted, key=attrgetter("place"))}
    batches = sorted(batches, key=attrgetter("first"))
    for kept, ledgers in wanted.items():
        _make_partitions(writing, kept, ledgers)
    try:
        return _write(writing, batches, wanted, careful=False)
    except (Overtaken, UniqueViolation):
        return _write(writing, batches, wanted, careful=True)


def _make_partitions(writing: Writing, kept: Layout, ledgers: LedgerSet) -> None:
    connection, size = writing.connection, writing.partition_ledgers
    for first, _ in partitions.aligned(ledgers, size):
        name = kept.partition(first)
        if name in writing.partitions:
            continue
        with connection.transaction():
            partitions.reserve(connection, kept)
            _refuse_loading(connection, {kept: ledgers}, size)
            if not partitions.is_there(connection, name):
                partitions.make(connection, kept, first, size=size)
                partitions.index(connection, kept, first)
                partitions.attach(connection, kept, first, size=size)
        writing.partitions.add(name)


def _write(writing: Writing, batches: Sequence[LedgerBatch], wanted: Wanted, *, careful: bool) -> int:
    connection, began, batch = writing.connection, datetime.now(UTC), uuid.uuid4()
    places = [kept.place for kept in wanted]
    with connection.transaction():
        _take_turns(connection, places, alone=careful)
        partitions.hold_tables(connection, places)
        covered = coverage.read(connection, places, lock=careful)
        missing = {kept: ledgers - covered[kept.place] for kept, ledgers in wanted.items()}
        counts = {
            kept: _copy(writing, kept, ledgers, batches=batches, batch=batch)
            for kept, ledgers in missing.items()
        }
        if not careful:
            covered = coverage.read(connection, places, lock=True)
            if any(ledgers & covered[kept.place] for kept, ledgers in missing.items()):
                raise Overtaken
        _refuse_loading(connection, missing, writing.partition_ledgers)
        for kept, ledgers in missing.items():
            if kept.is_entries and ledgers:
                for first, part in partitions.aligned(ledgers, writing.partition_ledgers):
                    advance_states(connection, kept.partition(first), part, covered[kept.place])
                note(connection, batch, ledgers, counts[kept], began, status="completed")
            coverage.add(connection, kept.place, ledgers)
            written_rows.add(connection, kept.place, ledgers, rows_of(batches, kept.asked, ledgers))
        writing.keep_assets({kept.name: rows_of(batches, kept.asked, part) for kept, part in missing.items()})
    return sum(counts.values())


def _take_turns(connection: psycopg.Connection, places: Sequence[str], *, alone: bool) -> None:
    """Copy while others do, or alone: who holds the coverage must not wait for keys of who waits for it."""
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    connection.execute(
        f"SELECT {lock}(hashtextextended(place, %s)) FROM unnest(%s::text[]) AS place".encode(),
        [_COPYING, list(places)],
    )


def _refuse_loading(connection: psycopg.Connection, wanted: Wanted, size: int) -> None:
    """See that no partition rows go to is being loaded; none begins to be once it is there."""
    for kept, ledgers in wanted.items():
        firsts = [first for first, _ in partitions.aligned(ledgers, size)]
        found = connection.execute(
            "SELECT FROM stellar.loading WHERE table_name = %s AND first_ledger = ANY(%s)",
            [kept.place, firsts],
        )
        if found.fetchone() is not None:
            raise LoadedBare


def _copy(
    writing: Writing, kept: Layout, missing: LedgerSet, *, batches: Sequence[LedgerBatch], batch: uuid.UUID
) -> int:
    count = 0
    for first, ledgers in partitions.aligned(missing, writing.partition_ledgers):
        rows = rows_of(batches, kept.asked, ledgers)
        count += copy_rows(writing.connection, kept.partition(first), kept, rows=rows, batch=batch)
    return count


def advance_states(
    connection: psycopg.Connection, partition: str, ledgers: LedgerSet, before: LedgerSet
) -> None:
    """Bring current_states up to a partition's new entries; `before` is what the table covered."""
    for part in ledgers:
        in_order = not before or before.last < part.first
        connection.execute(
            "SELECT contract_data.advance_states(%s, %s, %s, %s)",
            [partition, part.first, part.end, in_order],
        )


def note(
    connection: psycopg.Connection,
    batch: uuid.UUID,
    ledgers: LedgerSet,
    count: int,
    began: datetime,
    *,
    status: str,
    error: str | None = None,
) -> None:
    """Write down what became of a batch of entries."""
    connection.execute(
        "INSERT INTO contract_data.ingestion_progress VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            *(batch, ledgers.first, ledgers.last, count, began),
            *(None if status == "processing" else datetime.now(UTC), status, error),
        ],
    )
