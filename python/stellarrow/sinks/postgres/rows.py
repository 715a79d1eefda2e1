"""The rows of some ledgers out of batches, without copying."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from stellarrow.core.rows import between
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet


def span(batches: Sequence[LedgerBatch]) -> LedgerSet:
    """Return the ledgers of batches."""
    return LedgerSet(LedgerRange(batch.first, batch.last) for batch in batches)


def rows_of(batches: Sequence[LedgerBatch], table: str, ledgers: LedgerSet) -> list[pa.RecordBatch]:
    """Return a table's rows of the ledgers, each ledger once though several batches have it."""
    found = []
    for batch in batches:
        wanted = LedgerSet([LedgerRange(batch.first, batch.last)]) & ledgers
        ledgers -= wanted
        found += [part for one in wanted if (part := between(batch.tables[table], one)).num_rows]
    return found
