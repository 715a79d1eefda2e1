"""What a session's pipeline writes to: its spool, with commits as often as they are cheap."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import ChainBroken
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet
from stellarrow.pipeline.dead_letters import DeadLetter
from stellarrow.pipeline.hash_chain import unlinked
from stellarrow.processor.session import Counts, Mark
from stellarrow.processor.session_decoder import Filtered
from stellarrow.processor.session_figures import SessionFigures
from stellarrow.spool.spool import Spool
from stellarrow.telemetry import tracing

_TRACES: Final = 512  # of chunks that readers may be behind with theirs still being told
_COMMIT_SHARE: Final = 8  # commits take at most about an eighth of the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """What one commit made durable, in so many seconds: up to a mark in the batch `last`."""

    last: LedgerBatch
    mark: Mark
    counts: Counts
    took: float


class Trail:
    """The traces of chunks that came lately, for those who read their rows."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, int, str]] = deque(maxlen=_TRACES)

    def add(self, batch: LedgerBatch) -> None:
        """Note the trace of what this thread is just writing, where it is recorded."""
        if tracing.is_recorded(trace := tracing.current()):
            self._kept.append((batch.first, batch.last, trace))

    def of(self, first: int, last: int) -> dict[int, str]:
        """Return the traces of chunks that end in a range of ledgers, by their first ledger."""
        return {begun: trace for begun, end, trace in self._kept.copy() if first <= end <= last}


class Output:
    """The spool as a sink; `expect` is told of the marks before every commit, `kept` after it."""

    def __init__(
        self,
        spool: Spool,
        decoder: Filtered,
        *,
        batch_size: int,
        after: Mark,
        expect: Callable[[tuple[Mark, ...]], None],
        kept: Callable[[Committed], None],
        figures: SessionFigures,
        learn: Callable[[LedgerBatch], None],
        trail: Trail,
    ) -> None:
        self._trail = trail
        self._learn = learn
        self._spool = spool
        self._figures = figures
        self._decoder = decoder
        self._batch_size = batch_size
        self._mark = after
        self._marks: list[Mark] = []
        self._expect = expect
        self._kept = kept
        self._pending = Counts()
        self._last: LedgerBatch | None = None
        self._due = 0.0
        spool.before_commit = self._foresee

    def write(self, batch: LedgerBatch) -> None:
        if self._spool.is_full:
            self.commit()  # readers make room, but only by what they can see
        self._check_link(batch)
        self._trail.add(batch)
        self._figures.expect(batch)
        self._spool.write(batch)
        self._figures.count(batch)
        self._learn(batch)
        entries = self._decoder.entries(batch)
        counts = Counts(
            ledgers=batch.run.count,
            entries=entries,
            skipped=self._decoder.skipped(batch),
            batches=-(-entries // self._batch_size),
            bytes=batch.run.size_bytes,
            rows={name: rows.num_rows for name, rows in batch.tables.items()},
        )
        self._pending += counts
        self._mark = Mark(batch.last, batch.run.last_hash, self._mark.counts + counts)
        self._marks.append(self._mark)
        self._last = batch
        if time.monotonic() >= self._due:
            self.commit()

    def commit(self) -> None:
        began = time.monotonic()
        self._spool.commit()
        now = time.monotonic()
        self._due = now + (now - began) * _COMMIT_SHARE
        last, pending = self._last, self._pending
        self._last, self._pending = None, Counts()
        self._marks.clear()
        if last:
            self._kept(Committed(last=last, mark=self._mark, counts=pending, took=now - began))
            self._figures.save_in_time()

    def leave_out(self, letter: DeadLetter) -> None:
        """Go on without ledgers that were quarantined."""
        self.commit()
        self._spool.leave_out(LedgerRange(letter.ledger, letter.last))

    def _foresee(self) -> None:
        """Tell where the session will be before the spool commits, which it also does by itself."""
        if self._marks:
            self._expect(tuple(self._marks))

    def _check_link(self, batch: LedgerBatch) -> None:
        """Compare a batch with what was kept before it, maybe by an earlier start from another source."""
        before = self._mark
        if not before.hash or batch.first != before.ledger + 1:
            return
        kept = ", which the session keeps,"
        wrong = unlinked(batch.first, batch.run.previous_hash, before.ledger, before.hash, kept=kept)
        if wrong:
            raise ChainBroken(
                f"{wrong}: the chain was reset, or the source is another one; fix the source, or start"
                " another session"
            )

    def coverage(self) -> LedgerSet:
        return self._spool.coverage()

    def close(self) -> None:
        """Do nothing: readers go on with the spool."""
