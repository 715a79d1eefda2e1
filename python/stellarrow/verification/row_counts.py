"""Rows counted per ledger and table: what a source makes against what sinks hold."""

from __future__ import annotations

from collections import Counter
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


@dataclass(frozen=True, slots=True)
class Fault:
    """Ledgers of a table in a sink whose files are damaged, and how."""

    table: str
    ledgers: LedgerRange
    what: str


class RowCountComparison:
    """A sink that keeps nothing, and compares every batch with what other sinks hold.

    Batches come in ledger order, so that what the sinks hold is read once, beside them.
    """

    def __init__(self, tables: Mapping[str, str], held: Sequence[StoredTable], ledgers: LedgerSet) -> None:
        """`tables` are the names they are decoded by, each with the name it is kept under."""
        self.differences: list[Difference] = []
        self.faults: list[Fault] = []
        self._held = {
            asked: [_Counting(one, ledgers) for one in held if one.table == kept]
            for asked, kept in tables.items()
        }

    def write(self, batch: LedgerBatch) -> None:
        ledgers = LedgerRange(batch.first, batch.last)
        for table, places in self._held.items():
            made = counted(batch.tables[table])
            for place in places:
                held, unknown = place.take(ledgers)
                self.faults += place.new_faults()
                self.differences += [
                    Difference(table, ledger, made[ledger], held[ledger])
                    for ledger in sorted(made.keys() | held.keys())
                    if made[ledger] != held[ledger] and ledger not in unknown
                ]

    def commit(self) -> None:
        """Keep nothing."""

    def coverage(self) -> LedgerSet:
        return LedgerSet()

    def close(self) -> None:
        """Read no further."""
        for places in self._held.values():
            for place in places:
                place.close()


class _Counting:
    """The counts of one table, read as far as they were asked for."""

    def __init__(self, table: StoredTable, ledgers: LedgerSet) -> None:
        self._table = table
        self._counts = table.row_counts(ledgers)
        self._reach = -1
        self._rows: dict[int, int] = {}
        self._unknown = LedgerSet()
        self._faults: list[Fault] = []

    def take(self, ledgers: LedgerRange) -> tuple[Counter[int], LedgerSet]:
        """Return the rows of each ledger of the range that has any, and the ledgers that cannot be read."""
        while self._reach < ledgers.end and (part := next(self._counts, None)):
            self._reach = part.ledgers.end
            left = {one: rows for one, rows in self._rows.items() if one >= ledgers.first}
            self._rows = left | dict(part.rows or {})
            if part.rows is None:
                self._unknown |= LedgerSet([part.ledgers])
            if part.error:
                self._faults.append(Fault(self._table.table, part.ledgers, str(part.error)))
        found = Counter({one: self._rows.pop(one, 0) for one in range(ledgers.first, ledgers.end + 1)})
        return +found, self._unknown

    def new_faults(self) -> list[Fault]:
        """Return what was found since it was asked last."""
        found, self._faults = self._faults, []
        return found

    def close(self) -> None:
        self._counts.close()
