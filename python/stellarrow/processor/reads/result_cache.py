"""Answers of aggregates, kept by what they are really of, and computed once however many ask at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.errors import Stopped
from stellarrow.ledgers import LedgerSet
from stellarrow.telemetry.metrics import Metrics

_POLL_SECONDS: Final = 0.25  # between looks whether who waits is still there
_OVERHEAD_BYTES: Final = 1 << 10  # of an answer, beside its columns


@dataclass(frozen=True, slots=True)
class Key:
    """All that an answer depends on: ledgers never change, so the same of the same ledgers stays true.

    `ledgers` are those that are covered, gaps left out; `session` whose rows they are, none of a range.
    """

    table: str
    network: str
    ledgers: str
    where: str
    decoded: bool
    expression: str
    window: str
    session: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and the ledgers they are of."""

    rows: pa.Table
    ledgers: LedgerSet

    @property
    def size_bytes(self) -> int:
        return int(self.rows.nbytes) + _OVERHEAD_BYTES


@dataclass(slots=True)
class _Pending:
    """An answer that somebody computes."""

    answer: Answer | None = None
    error: Exception | None = None
    is_over: bool = False


class ResultCache:
    """The answers used last, within a bound of bytes; any number of threads may ask. 0 bytes keep none."""

    def __init__(self, size_bytes: int, metrics: Metrics) -> None:
        self._limit = size_bytes
        self._metrics = metrics
        self._held: OrderedDict[Key, Answer] = OrderedDict()
        self._pending: dict[Key, _Pending] = {}
        self._changed = threading.Condition()
        self.size_bytes = 0

    def answer(self, key: Key, compute: Callable[[], Answer], *, check: Callable[[], None]) -> Answer:
        """Return the answer of a key: kept, or of somebody who computes it now, or computed.

        Where the one who computes gives up, which is Stopped, another one who waits does it; `check` raises
        where who waits need not wait any more.
        """
        pending = self._kept_or_begun(key, check)
        if isinstance(pending, Answer):
            return pending
        try:
            pending.answer = compute()
            self._keep(key, pending.answer)
            return pending.answer
        except Exception as error:
            pending.error = error
            raise
        finally:
            with self._changed:
                pending.is_over = True
                del self._pending[key]
                self._changed.notify_all()

    def _kept_or_begun(self, key: Key, check: Callable[[], None]) -> Answer | _Pending:
        """Return the answer, or what is to be computed by who asks."""
        with self._changed:
            while True:
                if (found := self._held.get(key)) is not None:
                    self._held.move_to_end(key)
                    self._metrics.query_cache_hits.inc()
                    return found
                other = self._pending.get(key)
                if other is None:
                    self._metrics.query_cache_misses.inc()
                    self._pending[key] = begun = _Pending()
                    return begun
                while not other.is_over:
                    check()
                    self._changed.wait(_POLL_SECONDS)
                if other.answer is not None:
                    self._metrics.query_cache_hits.inc()
                    return other.answer
                if other.error is not None and not isinstance(other.error, Stopped):
                    raise other.error

    def _keep(self, key: Key, answer: Answer) -> None:
        """Keep an answer that is of what its key says, in place of those used longest ago."""
        if str(answer.ledgers) != key.ledgers or answer.size_bytes > self._limit:
            return
        with self._changed:
            self._held[key] = answer
            self.size_bytes += answer.size_bytes
            while self.size_bytes > self._limit:
                _, oldest = self._held.popitem(last=False)
                self.size_bytes -= oldest.size_bytes
                self._metrics.query_cache_evictions.inc()
            self._metrics.query_cache_bytes.set(self.size_bytes)
