"""The two seams: where ledgers come from, where batches go."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerSet, Network


@runtime_checkable
class Source(Protocol):
    """Where ledgers come from."""

    def available(self) -> LedgerSet:
        """Return the ledgers that can be read now; the last range is open where more may follow."""

    def network(self) -> Network | None:
        """Return the network the place itself tells, None where it tells none."""

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        """Yield every ledger of the range once, in order, without gaps.

        An open range goes on until the source ends or the caller stops. A ledger that is not there is
        LedgerMissing, at the latest when its turn comes; a place that cannot be read is another SourceError.
        """

    def close(self) -> None:
        """Let go of connections. A read that waits for the chain, in any thread, ends soon, without error."""


@runtime_checkable
class Sink(Protocol):
    """Where batches go. The same ledgers written twice leave the same rows as written once."""

    def write(self, batch: LedgerBatch) -> None:
        """Take a batch, in ledger order; it may be buffered. What is already covered is dropped."""

    def commit(self) -> None:
        """Return once everything written is durable, data and coverage together."""

    def coverage(self) -> LedgerSet:
        """Return which ledgers are durably here, for every table: where to resume, what is missing."""

    def close(self) -> None:
        """Let go of everything; what was not committed may be lost, never half kept. Twice is harmless."""
