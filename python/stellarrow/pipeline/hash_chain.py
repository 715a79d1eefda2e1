"""The one comparison of the hash chain: that ledgers go on where those before them ended.

What a single decode sees, the core compares (`ledger/integrity.rs`).
"""

from __future__ import annotations

from stellarrow.errors import ChainBroken, LedgerMissing
from stellarrow.ledgers import LedgerRange, LedgerRun


def unlinked(ledger: int, names: str, before: int, has: str, *, kept: str = "") -> str:
    """Say so where a ledger names another hash than the one before it has; empty where they link.

    `kept` says of the one before where it is.
    """
    if names == has:
        return ""
    return f"ledger {ledger} names {names} as the hash before it, but ledger {before}{kept} has {has}"


def check_link(ledger: int, names: str, before: int, has: str) -> None:
    """Refuse a ledger that does not go on where the one before it ended."""
    if wrong := unlinked(ledger, names, before, has):
        raise ChainBroken(f"{wrong}: one is not of this chain, fetch both again")


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
        if run and before and self._verify:
            check_link(run.first, run.previous_hash, before.last, before.last_hash)
        self._before, self._due = run, last + 1

    def end(self) -> None:
        """Make sure that nothing is missing at the end."""
        if self._last is not None and self._due <= self._last:
            raise LedgerMissing(f"ledger {self._due} was due, but the source ended")
