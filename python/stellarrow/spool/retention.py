"""What a spool keeps, and for whom: its size and age, and readers that it waits for."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How much a spool keeps, in bytes and seconds.

    What a registered reader still needs is kept beyond its age, and makes the writer wait when the size is
    reached: for ever, or for `patience` seconds in which the reader takes nothing; for
    one that has a name, and may be away, `named_patience` where there is no other.
    """

    size_bytes: int = 4 << 30
    age: float | None = None
    patience: float | None = None
    named_patience: float | None = 86_400.0

    def is_stale(self, written_at: int, now: float, *, share: int = 1) -> bool:
        """Tell whether what was written then, in unix milliseconds, is older than a share of the age kept."""
        return self.age is not None and written_at / 1000 + self.age / share < now

    def patience_with(self, *, is_named: bool) -> float | None:
        """Return for how many seconds a reader that takes nothing is waited for; None is for ever."""
        return self.named_patience if self.patience is None and is_named else self.patience


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reader wants what is behind a ledger, and said so at a time of the monotonic clock."""

    behind: int
    since: float
    is_named: bool


class Readers:
    """Who reads, and behind which ledger; what they need must stay. Its users hold a condition."""

    def __init__(self) -> None:
        self._readers: dict[str, _Reading] = {}

    def register(self, reader: str, behind: int, *, is_named: bool = False) -> None:
        """Note where a reader is; to say the same place again is to take nothing."""
        held = self._readers.get(reader)
        since = held.since if held and behind <= held.behind else time.monotonic()
        self._readers[reader] = _Reading(behind, since, is_named)

    def forget(self, reader: str) -> None:
        self._readers.pop(reader, None)

    def behind(self) -> dict[str, int]:
        """Return each reader with the ledger behind which it reads."""
        return {name: reading.behind for name, reading in self._readers.items()}

    def need(self, last: int) -> bool:
        """Tell whether one of them has not taken all up to a ledger."""
        return any(reading.behind < last for reading in self._readers.values())

    def lose_patience(self, retention: Retention, last: int, *, began: float) -> None:
        """Forget who needs what is up to a ledger but has taken nothing for too long in a wait."""
        now = time.monotonic()
        for name, reading in list(self._readers.items()):
            patience = retention.patience_with(is_named=reading.is_named)
            if patience is None or reading.behind >= last:
                continue
            if now - max(reading.since, began) >= patience:
                del self._readers[name]
                _log.warning("%s has taken nothing for %g s: it is waited for no longer", name, patience)
