"""A table on its way from producers into sinks: a ledger that came before is dropped, a gap is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from stellarrow.errors import ConfigError, NetworkMismatch, SinkError, StellarrowError
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerRun, LedgerSet, Network
from stellarrow.protocols import Sink
from stellarrow.receiving.pushed import Pushed


class GapRefused(ConfigError):
    """A producer leaves ledgers out that it did not say it has not; `expected` is the first of them."""

    def __init__(self, table: str, pushed: Pushed, expected: int) -> None:
        super().__init__(
            f"{table} of ledgers {pushed.first} to {pushed.last} leaves a gap: ledger {expected} is expected"
            " next, or say in left_out that there is none"
        )
        self.expected = expected


class Intake:
    """One table. Any number of threads may push; what `take` took is durable once `commit` returns.

    How far it is, its sinks alone know: what they cover has been taken, by whomever it was pushed, also
    after a crash. A sink that fails is opened anew by the next batch.
    """

    def __init__(
        self,
        table: str,
        open_sinks: Callable[[Network], Sequence[Sink]],
        *,
        network: Network | None = None,
        taken: Callable[[Pushed], None] = lambda _: None,
    ) -> None:
        """Take a table; without a network, the first batch tells it. `taken` is told of what was new."""
        self.table = table
        self._open_sinks = open_sinks
        self._network = network
        self._taken = taken
        self._lock = threading.RLock()
        self._sinks: Sequence[Sink] | None = None
        self._covered = LedgerSet()
        self._written = LedgerSet()  # and not yet committed
        self.trouble: StellarrowError | None = None

    def covered(self) -> LedgerSet:
        """Return the ledgers that are durable in every sink, as far as they can be asked."""
        with self._lock:
            if self._network:
                self._opened(self._network)
            return self._covered

    @property
    def last_covered(self) -> LedgerSet:
        """What was durable when the sinks were asked last, as known here."""
        return self._covered

    def take(self, pushed: Pushed) -> bool:
        """Write what is new of a batch, and tell whether anything was; GapRefused where some came not yet."""
        with self._lock:
            sinks = self._opened(self._agreed(pushed))
            known = self._covered | self._written
            if not (lacking := pushed.ledgers - known):
                return False
            self._refuse_gap(pushed, lacking, known)
            if self._written and pushed.first != self._written.last + 1:
                self.commit()  # sinks take what is in order
            batch = self._batch(pushed)
            with self._failing():
                for sink in sinks:
                    sink.write(batch)
            self._written |= pushed.ledgers
            self._taken(pushed)
            return True

    def commit(self) -> LedgerSet:
        """Make durable what was taken, and return all that is: a failure in between may have lost some."""
        with self._lock:
            if self._sinks is None or not self._written:
                return self._covered
            with self._failing():
                for sink in self._sinks:
                    sink.commit()
                self._covered = _common(self._sinks)
            missing = self._written - self._covered
            self._written = LedgerSet()
            if missing:
                raise SinkError(f"{self.table}: the sinks did not keep ledgers {missing}: see their messages")
            return self._covered

    def close(self) -> None:
        """Let go of the sinks; what was not committed is pushed again."""
        with self._lock:
            self._release()

    def _refuse_gap(self, pushed: Pushed, lacking: LedgerSet, known: LedgerSet) -> None:
        """Refuse a batch where the producer has not yet pushed what is before it."""
        if 0 < pushed.begins <= lacking.first:
            due = LedgerSet([LedgerRange(pushed.begins, lacking.first)]) - known - pushed.left_out
            expected = due.first if due else lacking.first
        else:
            expected = known.last + 1 if known else pushed.first
        if expected < lacking.first:
            raise GapRefused(self.table, pushed, expected)

    def _batch(self, pushed: Pushed) -> LedgerBatch:
        count = pushed.last - pushed.first + 1
        run = LedgerRun(count, pushed.first, pushed.last, 0, 0, "", "", 0, 0)
        return LedgerBatch(pushed.first, pushed.last, {self.table: pushed.rows}, run)

    def _agreed(self, pushed: Pushed) -> Network:
        told = Network.from_passphrase(pushed.network) if pushed.network else None
        network = self._network or told
        if network is None:
            raise ConfigError("the batch does not tell its network, and none is set: give --network")
        if told and told.passphrase != network.passphrase:
            raise NetworkMismatch(
                f"the rows are of {told}, and those here of {network}: push them elsewhere, or fix --network"
            )
        self._network = network
        return network

    def _opened(self, network: Network) -> Sequence[Sink]:
        if self._sinks is None:
            sinks = self._open_sinks(network)
            with self._failing(sinks):
                self._covered = _common(sinks)
            self._sinks = sinks
        return self._sinks

    def _failing(self, sinks: Sequence[Sink] = ()) -> _Failing:
        return _Failing(self, sinks)

    def _release(self) -> None:
        sinks, self._sinks = self._sinks, None
        self._written = LedgerSet()
        _close(sinks or ())


class _Failing:
    """Lets go of the sinks after an error: what they held that was not durable is gone."""

    def __init__(self, intake: Intake, sinks: Sequence[Sink]) -> None:
        self._intake = intake
        self._sinks = sinks

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: object, _: object) -> None:
        if isinstance(error, StellarrowError):
            self._intake.trouble = error
        if error is not None:
            _close(self._sinks)
            self._intake._release()  # noqa: SLF001  a part of it
        else:
            self._intake.trouble = None


def _close(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        with suppress(StellarrowError):
            sink.close()


def _common(sinks: Sequence[Sink]) -> LedgerSet:
    covered, *others = (sink.coverage() for sink in sinks)
    for other in others:
        covered &= other
    return covered
