"""The trace of a chunk through the pipeline: its fetch begins it, its commit ends it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet
from stellarrow.telemetry import tracing

_MOST: Final = 1_024  # traces of what is written and not durable yet; older ones end without a commit


def fetched(chunks: Iterator[LedgerChunk]) -> Iterator[LedgerChunk]:
    """Begin the trace of each chunk that has none, and go on with that of one that came with it."""
    return _fetched(chunks) if tracing.is_on() else chunks


def _fetched(chunks: Iterator[LedgerChunk]) -> Iterator[LedgerChunk]:
    try:
        while True:
            began = time.time_ns()
            if (chunk := next(chunks, None)) is None:
                return
            # What another service traces has begun there; how long it was waited for, that one tells.
            name, began = ("receive", time.time_ns()) if chunk.trace else ("fetch", began)
            trace = tracing.record(
                name,
                chunk.trace,
                began,
                first_ledger=chunk.first,
                last_ledger=chunk.last,
                bytes=len(chunk.data),
                source=chunk.where,
            )
            yield replace(chunk, trace=trace)
            del chunk  # or it would live until the next is there
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


class PendingTraces:
    """The traces of what was written, until it is durable."""

    def __init__(self) -> None:
        self._pending: deque[tuple[LedgerRange, str]] = deque(maxlen=_MOST)

    def add(self, ledgers: LedgerRange, trace: str) -> None:
        if tracing.is_recorded(trace):
            self._pending.append((ledgers, trace))

    def add_all(self, ledgers: LedgerRange, traces: Iterable[str]) -> None:
        """Add the traces of chunks that were written together."""
        for trace in traces:
            self.add(ledgers, trace)

    @contextmanager
    def committing(self) -> Iterator[None]:
        """End every trace with the commit that the block does; one that fails ends none but the newest."""
        if not self._pending:
            yield
            return
        began = time.time_ns()
        ranges = LedgerSet([ledgers for ledgers, _ in self._pending])
        told: dict[str, tracing.Attribute] = {"first_ledger": ranges.first, "last_ledger": ranges.last}
        ledgers, newest = self._pending.pop()
        try:
            with tracing.span("commit", newest, **told):
                yield
        except BaseException:
            self._pending.append((ledgers, newest))  # it is tried again
            raise
        self._end(began, told)

    def committed(self, durable: LedgerSet) -> None:
        """End the traces of what a sink made durable by itself."""
        kept = [one for one in self._pending if LedgerSet([one[0]]) - durable]
        ended = [one for one in self._pending if not LedgerSet([one[0]]) - durable]
        self._pending = deque(ended, _MOST)
        self._end(time.time_ns(), {})
        self._pending = deque(kept, _MOST)

    def drop(self) -> None:
        """Forget them: what was written is written again, or will not be."""
        self._pending.clear()

    def _end(self, began: int, told: dict[str, tracing.Attribute]) -> None:
        for _, trace in self._pending:
            tracing.record("commit", trace, began, **told)
        self._pending.clear()
