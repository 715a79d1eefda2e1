"""When what was written to sinks becomes durable."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.pipeline.traced import PendingTraces
from stellarrow.protocols import Sink


def covered_ledgers(sinks: Sequence[Sink]) -> LedgerSet:
    """Return the ledgers every sink has."""
    if not sinks:
        return LedgerSet()
    covered, *others = (sink.coverage() for sink in sinks)
    for other in others:
        covered &= other
    return covered


class Commits:
    """What was written to all of some sinks: `pending` until it is durable, then `done`."""

    def __init__(self, sinks: Sequence[Sink], every: float) -> None:
        self.done = LedgerSet()
        self._sinks = sinks
        self._every = every
        self._runs: list[LedgerRange] = []  # joined only when asked for, as most just go on
        self._since = time.monotonic()
        self._traces = PendingTraces()

    @property
    def pending(self) -> LedgerSet:
        return LedgerSet(self._runs)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is pending."""
        return not self._runs

    def expect(self, ledgers: LedgerRange, trace: str = "") -> None:
        """Note that these are being written, with their chunk's trace."""
        self._traces.add(ledgers, trace)
        if not self._runs:
            self._since = time.monotonic()
            self._runs = [ledgers]
        elif self._runs[-1].end + 1 == ledgers.first:
            self._runs[-1] = LedgerRange(self._runs[-1].first, ledgers.last)
        else:
            self._runs.append(ledgers)

    def commit(self) -> None:
        if self._runs:
            with self._traces.committing():
                for sink in self._sinks:
                    sink.commit()
            self.done |= self.pending
            self._runs = []

    def commit_if_due(self) -> None:
        """Commit if nothing became durable for too long; a sink that goes on by itself is left to it."""
        if not self._runs or time.monotonic() - self._since < self._every:
            return
        covered = covered_ledgers(self._sinks) & self.pending
        if not covered:
            self.commit()
        self._traces.committed(covered)
        self.done |= covered
        self._runs = list(self.pending - covered)
        self._since = time.monotonic()

    def drop(self) -> LedgerSet:
        """Forget what is pending, and return what of it no commit will bring."""
        pending = self.pending
        doubtful = pending - covered_ledgers(self._sinks)
        self.done |= pending - doubtful
        self._traces.drop()
        self._runs = []
        return doubtful
