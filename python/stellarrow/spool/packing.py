"""Batches with their rows as the spool stores them."""

from __future__ import annotations

from dataclasses import dataclass, field

from stellarrow.core.rows import between
from stellarrow.ledgers import LedgerBatch, LedgerRange
from stellarrow.spool.table_file import Packed


@dataclass(frozen=True, slots=True)
class PackedBatch(LedgerBatch):
    """A batch with its rows as the spool stores them."""

    packed: dict[str, Packed] = field(repr=False)


def packed(batch: LedgerBatch, name: str, part: LedgerRange) -> Packed:
    """Return a table's rows of a part of the batch."""
    rows = batch.tables[name]
    if (part.first, part.end) == (batch.first, batch.last):
        return batch.packed[name] if isinstance(batch, PackedBatch) else Packed.of(rows)
    return Packed.of(between(rows, part))
