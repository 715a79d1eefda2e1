"""Rows counted per ledger and table: what a source makes against what sinks hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from stellarrow.cli.output import formatting
from stellarrow.cli.output.outcome import Told
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.pipeline import loop
from stellarrow.verification.stored_tables import Holding, counted

_SHOWN: Final = 10  # differences that people are told


@dataclass(frozen=True, slots=True)
class Difference:
    """A ledger whose rows in a sink are not those of the source."""

    table: str
    ledger: int
    source: int
    sink: int


class Census:
    """A sink that keeps nothing, and compares every batch with what other sinks hold."""

    def __init__(self, tables: Mapping[str, str], held: Sequence[Holding]) -> None:
        """`tables` are the names they are decoded by, each with the name it is kept under."""
        self.differences: list[Difference] = []
        self._held = {asked: [one for one in held if one.table == kept] for asked, kept in tables.items()}

    def write(self, batch: LedgerBatch) -> None:
        ledgers = LedgerRange(batch.first, batch.last)
        for table, places in self._held.items():
            made = counted(batch.tables[table])
            for place in places:
                held = place.census(ledgers)
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

    def told(self, report: loop.Report, *, lacking: LedgerSet, unreadable: LedgerSet) -> Told:
        """Say what was found; differences are a failure, ledgers not yet extracted are not."""
        verdict = "every row count agrees" if not self.differences else _many(self.differences)
        took = formatting.seconds(report.seconds)
        told = [
            f"compared {formatting.many(report.ledgers, 'ledger')} in {took}: {verdict}",
            f"rows: {formatting.columns(report.rows)}",
        ]
        told += [
            f"{one.table} of ledger {one.ledger}: {one.source} rows in the source, {one.sink} in the sink"
            for one in self.differences[:_SHOWN]
        ]
        if lacking:
            told.append(f"not extracted: {formatting.ranges(lacking)}")
        if unreadable:
            told.append(f"not in the source, so not compared: {formatting.ranges(unreadable)}")
        return Told(
            "\n".join(told),
            {
                "ledgers": report.ledgers,
                "rows": report.rows,
                "differences": [asdict(one) for one in self.differences],
                "lacking": str(lacking),
                "unreadable": str(unreadable),
                "stopped": report.stopped,
            },
            1 if self.differences else 0,
        )


def _many(differences: Sequence[Difference]) -> str:
    return f"{formatting.many(len(differences), 'difference')}, in ledgers {_ledgers(differences)}"


def _ledgers(differences: Sequence[Difference]) -> str:
    return formatting.ranges(LedgerSet.of({one.ledger for one in differences}))
