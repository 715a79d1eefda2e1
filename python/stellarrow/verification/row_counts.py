"""Rows counted per ledger and table: what a source makes against what sinks hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.verification.stored_tables import StoredTable, counted


@dataclass(frozen=True, slots=True)
class Difference:
    """A ledger whose rows in a sink are not those of the source."""

    table: str
    ledger: int
    source: int
    sink: int


class RowCountComparison:
    """A sink that keeps nothing, and compares every batch with what other sinks hold."""

    def __init__(self, tables: Mapping[str, str], held: Sequence[StoredTable]) -> None:
        """`tables` are the names they are decoded by, each with the name it is kept under."""
        self.differences: list[Difference] = []
        self._held = {asked: [one for one in held if one.table == kept] for asked, kept in tables.items()}

    def write(self, batch: LedgerBatch) -> None:
        ledgers = LedgerRange(batch.first, batch.last)
        for table, places in self._held.items():
            made = counted(batch.tables[table])
            for place in places:
                held = place.row_counts(ledgers)
                self.differences += [
                    Difference(table, ledger, made[ledger], held[ledger])
                    for ledger in sorted(made.keys() | held.keys())
                    if made[ledger] != held[ledger]
                ]

    def commit(self) -> None:
        """Keep nothing."""

    def coverage(self) -> LedgerSet:
        return LedgerSet()

    def close(self) -> None:
        """Hold nothing."""
