"""What a session's pipeline writes to: its spool, with commits as often as they are cheap."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stellarrow.deadletters import DeadLetter
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.processor.decoding import Filtered
from stellarrow.processor.session import Counts
from stellarrow.spool import Spool

_COMMIT_SHARE: Final = 8  # commits take at most about an eighth of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one commit made durable, in so many seconds: up to the batch `last`, rows by table."""

    last: LedgerBatch
    counts: Counts
    rows: dict[str, int]
    took: float


class Output:
    """The spool as a sink; `kept` is told of every commit."""

    def __init__(
        self, spool: Spool, decoder: Filtered, *, batch_size: int, kept: Callable[[Kept], None]
    ) -> None:
        self._spool = spool
        self._decoder = decoder
        self._batch_size = batch_size
        self._kept = kept
        self._pending = Counts()
        self._rows: dict[str, int] = {}
        self._last: LedgerBatch | None = None
        self._due = 0.0

    def write(self, batch: LedgerBatch) -> None:
        if self._spool.is_full:
            self.commit()  # readers make room, but only by what they can see
        self._spool.write(batch)
        entries = self._decoder.entries(batch)
        self._pending += Counts(
            ledgers=batch.run.count,
            entries=entries,
            skipped=self._decoder.skipped(batch),
            batches=-(-entries // self._batch_size),
            bytes=batch.run.size_bytes,
        )
        self._last = batch
        for name, rows in batch.tables.items():
            self._rows[name] = self._rows.get(name, 0) + rows.num_rows
        if time.monotonic() >= self._due:
            self.commit()

    def commit(self) -> None:
        began = time.monotonic()
        self._spool.commit()
        now = time.monotonic()
        self._due = now + (now - began) * _COMMIT_SHARE
        last, pending, rows = self._last, self._pending, self._rows
        self._last, self._pending, self._rows = None, Counts(), {}
        if last:
            self._kept(Kept(last=last, counts=pending, rows=rows, took=now - began))

    def leave_out(self, letter: DeadLetter) -> None:
        """Go on without ledgers that were put aside."""
        self.commit()
        self._spool.leave_out(LedgerRange(letter.ledger, letter.last))

    def coverage(self) -> LedgerSet:
        return self._spool.coverage()

    def close(self) -> None:
        """Do nothing: readers go on with the spool."""
