"""Batches that wait for a commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet


class BatchBuffer:
    """Batches in the order they came, and how many bytes of Arrow the tables take that are `asked`."""

    def __init__(self, sink: str, asked: Sequence[str]) -> None:
        self._sink = sink
        self._asked = asked
        self._batches: list[LedgerBatch] = []
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[LedgerBatch]:
        return iter(self._batches)

    def add(self, batch: LedgerBatch) -> None:
        """Take a batch; ConfigError where a table that the sink keeps was not decoded."""
        if lacking := next((name for name in self._asked if name not in batch.tables), None):
            raise ConfigError(f"{self._sink} keeps {lacking}, which is not decoded: name it in tables")
        self.nbytes += sum(batch.tables[name].nbytes for name in self._asked)
        self._batches.append(batch)

    def clear(self) -> None:
        self._batches.clear()
        self.nbytes = 0

    @property
    def ledgers(self) -> LedgerSet:
        """The ledgers of all batches."""
        return LedgerSet(LedgerRange(batch.first, batch.last) for batch in self._batches)

    def parts(self, wanted: LedgerSet) -> Iterator[tuple[LedgerBatch, LedgerSet]]:
        """Yield each batch with the wanted ledgers that are to be taken from it, each ledger once."""
        left = wanted
        for batch in self._batches:
            if part := left & LedgerSet([LedgerRange(batch.first, batch.last)]):
                yield batch, part
                left -= part
