"""One flush: the rows of some ledgers into indexed partitions, states, coverage and progress, all at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pyarrow as pa

from stellarrow.ledgers import LedgerBatch, LedgerSet
from stellarrow.sinks.postgres import assets, coverage, partitions
from stellarrow.sinks.postgres.copying import copy_rows
from stellarrow.sinks.postgres.layout import Layout
from stellarrow.sinks.postgres.rows import rows_of


class LoadedBare(Exception):
    """A partition that rows should go to is being loaded outside its table."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What every write to one database shares."""

    connection: psycopg.Connection
    assets: assets.Assets
    partition_ledgers: int

    def keep_assets(self, rows: Mapping[str, Sequence[pa.RecordBatch]]) -> None:
        found: dict[str, assets.Asset] = {}
        for name, parts in rows.items():
            for part in parts:
                found |= self.assets.proved(name, part)
        if found:
            assets.keep(self.connection, found)


def write(writing: Writing, batches: Sequence[LedgerBatch], wanted: Mapping[Layout, LedgerSet]) -> int:
    """Add the wanted ledgers of each table that it lacks, in one transaction, and return the rows."""
    connection, began = writing.connection, datetime.now(UTC)
    batch = uuid.uuid4()
    count = 0
    with connection.transaction():
        covered = coverage.read(connection, [kept.place for kept in wanted], lock=True)
        _refuse_loading(connection, wanted, writing.partition_ledgers)
        added = {}
        for kept, ledgers in wanted.items():
            missing = ledgers - covered[kept.place]
            added[kept.name] = rows_of(batches, kept.asked, missing)
            copied = _copy(writing, kept, missing, batches, batch)
            count += copied
            if kept.is_entries and missing:
                advance_states(connection, missing, covered[kept.place])
                note(connection, batch, missing, copied, began, status="completed")
            coverage.add(connection, kept.place, missing)
        writing.keep_assets(added)
    return count


def _refuse_loading(connection: psycopg.Connection, wanted: Mapping[Layout, LedgerSet], size: int) -> None:
    """See, under the lock that begins a load takes too, that none has begun where rows shall go."""
    for kept, ledgers in wanted.items():
        firsts = [first for first, _ in partitions.aligned(ledgers, size)]
        found = connection.execute(
            "SELECT FROM stellar.loading WHERE table_name = %s AND first_ledger = ANY(%s)",
            [kept.place, firsts],
        )
        if found.fetchone() is not None:
            raise LoadedBare


def _copy(
    writing: Writing, kept: Layout, missing: LedgerSet, batches: Sequence[LedgerBatch], batch: uuid.UUID
) -> int:
    connection, size, count = writing.connection, writing.partition_ledgers, 0
    for first, ledgers in partitions.aligned(missing, size):
        rows = rows_of(batches, kept.asked, ledgers)
        if not rows:
            continue
        if not partitions.is_there(connection, kept.partition(first)):
            partitions.make(connection, kept, first, size=size)
            partitions.index(connection, kept, first)
            partitions.attach(connection, kept, first, size=size)
        count += copy_rows(connection, kept.partition(first), kept, rows=rows, batch=batch)
    return count


def advance_states(connection: psycopg.Connection, ledgers: LedgerSet, before: LedgerSet) -> None:
    """Bring current_states up to new entries; `before` is what was there."""
    for part in ledgers:
        in_order = not before or before.last < part.first
        connection.execute(
            "SELECT contract_data.advance_states(%s, %s, %s)", [part.first, part.end, in_order]
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
