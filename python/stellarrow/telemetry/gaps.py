"""Ledgers that are missing where they should be, as the metric `missing_ledgers` tells them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from stellarrow.errors import StellarrowError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange, LedgerSet
from stellarrow.telemetry.metrics import Metrics

LOOK_SECONDS: Final = 15.0  # between questions to a place, which may be a query


class Gap:
    """What a place lacks, up to its last ledger: of what is `wanted`, or between its first and its last.

    What comes behind its last ledger is not missing yet: the lag tells of that.
    """

    def __init__(
        self, metrics: Metrics, place: str, table: str = "", *, wanted: LedgerSet | None = None
    ) -> None:
        self._gauge = metrics.missing_ledgers.labels(place, table)
        self._wanted = wanted
        self._due = 0.0

    def look(self, coverage: Callable[[], LedgerSet]) -> None:
        """Ask the place what it has, unless that was done just now; one that is away tells nothing new."""
        if time.monotonic() >= self._due:
            with suppress(StellarrowError):
                self.note(coverage())
            self._due = time.monotonic() + LOOK_SECONDS

    def note(self, covered: LedgerSet) -> None:
        """Tell what is missing of what a place has."""
        wanted = covered.holes if self._wanted is None else self._wanted
        passed = LedgerSet([LedgerRange(0, covered.last)]) if covered else covered
        self._gauge.set((wanted & passed - covered).count)


def from_first(ledger: int | str | None) -> LedgerSet | None:
    """Return what is wanted from a ledger on; None where none is named by its number."""
    return LedgerSet([LedgerRange(ledger, LAST_POSSIBLE)]) if isinstance(ledger, int) and ledger else None
