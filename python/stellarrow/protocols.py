"""The two seams: where ledgers come from, where batches go; and what a source may offer besides."""

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
class Measured(Protocol):
    """A source that knows how much it stores."""

    def stored_bytes(self, ledgers: LedgerSet) -> int:
        """Return how many bytes must be read for these ledgers."""


@runtime_checkable
class Refetching(Protocol):
    """A source whose bytes may be damaged on their way here."""

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Fetch a chunk once more from where it lies, past any cache, in any thread while others read."""


@runtime_checkable
class Sink(Protocol):
    """Where batches go. The same ledgers written twice leave the same rows as written once."""

    def write(self, batch: LedgerBatch) -> None:
        """Take a batch, in ledger order; it may be buffered. What is already covered is dropped.

        The next batch may leave ledgers out: they stay a gap in the coverage. Rows the sink will never take
        are LedgersRefused, from here or from commit; it stays usable, and its coverage says what is there.
        """

    def commit(self) -> None:
        """Return once everything written is durable, data and coverage together."""

    def coverage(self) -> LedgerSet:
        """Return which ledgers are durably here, for every table: where to resume, what is missing."""

    def close(self) -> None:
        """Let go of everything; what was not committed may be lost, never half kept. Twice is harmless."""
