"""Ledgers that a service streams one after the other: taken up again wherever the stream broke."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from stellarrow.errors import LedgerMissing, SourceUnavailable, Stopped
from stellarrow.ledgers import LedgerChunk, LedgerRange
from stellarrow.net.resilience import Guard, Policy
from stellarrow.sources.chunking import read_again
from stellarrow.telemetry.metrics import Metrics

if TYPE_CHECKING:
    import pyarrow as pa

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StreamedLedger:
    """A ledger as a service sends it: its sequence, its LedgerCloseMeta in XDR, and its chunk's trace."""

    sequence: int
    xdr: bytes | pa.Buffer = field(repr=False)
    trace: str = ""


class LedgerStream(Protocol):
    """One call that a service answers with ledgers."""

    def next(self) -> StreamedLedger:
        """Return the next ledger; SourceUnavailable where the stream has ended or is silent."""

    def close(self) -> None:
        """Give the call up."""


class StreamReader:
    """Reads ranges out of streams that `begin` opens; `end` is 0 where the range is open.

    A stream counts as opened once it has given the ledger asked for, or a later one: until then, opening it
    has not worked, and is tried again as the policy says.
    """

    def __init__(
        self,
        name: str,
        begin: Callable[[LedgerRange], LedgerStream],
        *,
        operation: str,
        policy: Policy | None,
        metrics: Metrics | None,
    ) -> None:
        self.name = name
        self.metrics = metrics or Metrics()
        self.stop = threading.Event()
        self.guard = Guard(name, policy, metrics=self.metrics, stop=self.stop)
        self._begin = begin
        self._operation = operation

    def read(self, ledgers: LedgerRange) -> Generator[LedgerChunk]:
        """Yield every ledger of a range, over as many streams as it takes."""
        due = ledgers.first
        skipped: int | None = None
        try:
            while due <= ledgers.end:
                wanted = LedgerRange(due, ledgers.last)
                with closing(self.guard.call(self._operation, lambda: self._begun(wanted))) as stream:  # noqa: B023  called at once
                    for ledger in self._ledgers(stream):
                        if ledger.sequence > due:
                            self._check_skip(due, ledger.sequence, before=skipped)
                            skipped = due
                            break
                        if ledger.sequence == due:  # or it was sent twice
                            due += 1
                            yield self._chunk(ledger)
                        if due > ledgers.end:
                            return
                self.metrics.reconnections.inc()
        except Stopped:
            return

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Return a chunk as the service gives it now."""
        return read_again(self.read, chunk, name=self.name)

    def close(self) -> None:
        """Let reads in any thread end soon."""
        self.stop.set()

    def _begun(self, wanted: LedgerRange) -> _Begun:
        stream = self._begin(wanted)
        try:
            while (ledger := stream.next()).sequence < wanted.first:
                pass
        except BaseException:
            stream.close()
            raise
        return _Begun(stream, ledger)

    def _ledgers(self, stream: _Begun) -> Iterator[StreamedLedger]:
        """Yield until the stream breaks: once one has begun, it breaks to be opened anew."""
        try:
            while True:
                yield stream.next()
        except SourceUnavailable as error:
            self.guard.last_error = error
            _log.warning("%s: opening the stream anew", error)

    def _chunk(self, ledger: StreamedLedger) -> LedgerChunk:
        self.metrics.received(1, len(ledger.xdr))
        number = ledger.sequence
        return LedgerChunk(ledger.xdr, "single", number, number, self.name, fetched=True, trace=ledger.trace)

    def _check_skip(self, due: int, given: int, *, before: int | None) -> None:
        if before == due:
            raise LedgerMissing(
                f"{self.name} skips ledger {due} and continues with {given}, also when asked again: see what"
                " its own source has"
            )


class _Begun:
    """A stream whose first ledger has come."""

    def __init__(self, stream: LedgerStream, first: StreamedLedger) -> None:
        self._stream = stream
        self._first: StreamedLedger | None = first

    def next(self) -> StreamedLedger:
        first, self._first = self._first, None
        return first or self._stream.next()

    def close(self) -> None:
        self._stream.close()
