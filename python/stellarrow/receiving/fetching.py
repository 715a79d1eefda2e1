"""A table fetched from a processor's Flight into an intake, taken up again where it was durable."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa

from stellarrow.consumer.flight_client import EARLIEST, Arrival, FlightTable, ResumeRefused
from stellarrow.errors import SourceUnavailable, StellarrowError, Stopped
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.resilience import Guard
from stellarrow.pipeline.traced import PendingTraces
from stellarrow.receiving.intake import Intake
from stellarrow.receiving.pushed import Pushed
from stellarrow.receiving.tokens import Tokens
from stellarrow.telemetry import tracing

_PAUSE: Final = 1.0  # seconds before a stream that ended is asked for more
_CLOSE_SECONDS: Final = 5.0
_log: Final = logging.getLogger(__name__)


class Fetching:
    """Follows one table in a thread; `trouble` says why it cannot go on."""

    def __init__(
        self,
        stream: FlightTable,
        intake: Intake,
        tokens: Tokens,
        *,
        guard: Guard,
        stop: threading.Event,
        interval: float,
    ) -> None:
        self._stream = stream
        self._intake = intake
        self._tokens = tokens
        self._key = f"{intake.table} from {stream.name}"
        self._stop = stop
        self._interval = interval
        self.guard = guard
        self.trouble: StellarrowError | None = None
        self._lock = threading.Lock()  # of what came and is not durable yet
        self._token = ""
        self._due = 0.0
        self._traces = PendingTraces()
        self._seen: dict[str, _Seen] = {}  # by session, of this connection
        self._thread = threading.Thread(target=self._run, name="stellarrow-fetch", daemon=True)
        stream.answered = guard.answered

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Make durable what came and has waited long enough; to be called again and again."""
        if self._token and time.monotonic() >= self._due:
            try:
                self._settle()
            except StellarrowError as error:
                self._note(error)

    def close(self) -> None:
        """End the stream; what came is durable, or comes again."""
        self._stream.close()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _note(self, error: StellarrowError) -> None:
        if str(error) != str(self.trouble):
            _log.error("%s: %s", self._key, error)
        self.trouble = error

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.guard.call("stream", self._follow)
            except Stopped:
                return
            except StellarrowError as error:
                self._note(error)
            self._stop.wait(_PAUSE)

    def _follow(self) -> None:
        """Take batches from one connection until it ends; raise if it brought nothing, so that we wait."""
        has_come = False
        self._seen.clear()
        try:
            for arrival in whole(self._stream.read(self._tokens.get(self._key) or EARLIEST)):
                self._take(arrival)
                has_come = True
        except ResumeRefused as error:
            _log.warning("%s; all that is kept is asked for, and what is here is not taken twice", error)
            self._tokens.set(self._key, EARLIEST)
        except SourceUnavailable:
            if not has_come:
                raise
        finally:
            self._settle()

    def _take(self, arrival: Arrival) -> None:
        seen = self._seen.setdefault(arrival.session, _Seen(arrival.first, arrival.first - 1))
        if arrival.first > seen.last + 1:  # the server will not have them
            seen.left_out |= LedgerSet([LedgerRange(seen.last + 1, arrival.first - 1)])
        seen.last = arrival.last
        pushed = Pushed(
            first=arrival.first,
            last=arrival.last,
            producer=arrival.session or self._stream.name,
            sequence=0,
            begins=seen.begins,
            left_out=seen.left_out,
            network=arrival.network,
            rows=arrival.rows,
        )
        self._traces.add_all(LedgerRange(arrival.first, arrival.last), arrival.traces)
        with tracing.span("write", arrival.traces[-1] if arrival.traces else ""):
            self._intake.take(pushed)
        with self._lock:
            self._due = self._due if self._token else time.monotonic() + self._interval
            self._token = arrival.resume
        if time.monotonic() >= self._due:
            self._settle()

    def _settle(self) -> None:
        """Make durable what came, and note where to go on."""
        with self._lock:
            token, self._token = self._token, ""
            if token:
                with self._traces.committing():
                    self._intake.commit()
                self._tokens.set(self._key, token)
                self.trouble = None


@dataclass(slots=True)
class _Seen:
    """What one connection brought of a session: from where on, up to where, and which ledgers it left out."""

    begins: int
    last: int
    left_out: LedgerSet = field(default_factory=LedgerSet)


def whole(arrivals: Iterator[Arrival]) -> Iterator[Arrival]:
    """Join what arrives until it is of whole ledgers."""
    parts: list[Arrival] = []
    for one in arrivals:
        parts.append(one)
        if one.complete:
            rows = one.rows if len(parts) == 1 else pa.concat_batches([part.rows for part in parts])
            traces = tuple(trace for part in parts for trace in part.traces)
            yield replace(one, first=parts[0].first, rows=rows, complete=True, traces=traces)
            parts.clear()
