"""A source and a sink in memory."""

from __future__ import annotations

from collections.abc import Iterator

import stellarrow as sa
from stellarrow.core.framing import frame


class MemorySource:
    """Ledgers in memory, a few a chunk."""

    def __init__(self, ledgers: dict[int, bytes], size: int = 3) -> None:
        self.ledgers = ledgers
        self.size = size
        self.taken = 0

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet.of(self.ledgers)

    def network(self) -> None:
        return None

    def close(self) -> None:
        self.ledgers = {}

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        numbers = [number for number in self.ledgers if number in ledgers]
        for at in range(0, len(numbers), self.size):
            part = numbers[at : at + self.size]
            data = frame([self.ledgers[number] for number in part], "record-marked")
            self.taken += 1
            yield sa.LedgerChunk(data, "record-marked", part[0], part[-1], f"chunk {part[0]}")


class MemorySink:
    """Keep rows in memory; what is not committed is lost at close."""

    def __init__(self, covered: sa.LedgerSet | None = None) -> None:
        self.covered = covered or sa.LedgerSet()
        self.rows: list[int] = []
        self.pending: list[sa.LedgerBatch] = []

    def write(self, batch: sa.LedgerBatch) -> None:
        self.pending.append(batch)

    def commit(self) -> None:
        for batch in self.pending:
            self.rows += batch.tables["ledgers"].column("ledger_sequence").to_pylist()
            self.covered |= sa.LedgerSet([sa.LedgerRange(batch.first, batch.last)])
        self.pending = []

    def coverage(self) -> sa.LedgerSet:
        return self.covered

    def close(self) -> None:
        self.pending = []
