"""What no single decode can see: that ledgers go on where those before them ended."""

from __future__ import annotations

from stellarrow.errors import ChainBroken, LedgerMissing
from stellarrow.ledgers import LedgerRange, LedgerRun


class Chain:
    """Follow the ledgers of a range as they arrive."""

    def __init__(self, ledgers: LedgerRange, *, verify: bool) -> None:
        self._last = ledgers.last
        self._verify = verify
        self._due = ledgers.first
        self._before: LedgerRun | None = None

    def follow(self, first: int, last: int, run: LedgerRun | None) -> None:
        """Take the next ledgers; without a `run`, nothing is known of their hashes."""
        if first != self._due:
            raise LedgerMissing(f"ledger {self._due} was due, but the source went on with {first}")
        before = self._before
        if run and before and self._verify and run.previous_hash != before.last_hash:
            raise ChainBroken(
                f"ledger {run.first} names {run.previous_hash} as the hash before it, but ledger"
                f" {before.last} has {before.last_hash}: one is not of this chain, fetch both again"
            )
        self._before, self._due = run, last + 1

    def end(self) -> None:
        """Make sure that nothing is missing at the end."""
        if self._last is not None and self._due <= self._last:
            raise LedgerMissing(f"ledger {self._due} was due, but the source ended")
