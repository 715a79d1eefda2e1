"""One source for many readers: the live edge is read once for all, history in reels that neighbours share."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from stellarrow.errors import ConfigError, LedgerMissing, LedgerUnsound, SourceUnavailable, StellarrowError
from stellarrow.ledgers import LAST_POSSIBLE, LedgerRange
from stellarrow.pipeline.hash_chain import unlinked
from stellarrow.protocols import Source
from stellarrow.servers.raw.fanout import FanoutBuffer, Reader
from stellarrow.servers.raw.verified import Ledger, SoundLedgers
from stellarrow.telemetry.health import Check, Component, Part
from stellarrow.telemetry.metrics import Metrics

_POLL: Final = 1.0  # seconds until a source that has no more, or has failed, is asked again
_SOON: Final = 0.02
_LONGEST: Final = 60.0  # seconds between tries of a ledger that stays in the way
_MAX_BUFFERS: Final = 16  # places of the history that are read at once, where memory allows
_FEWEST: Final = 4
_LEAST: Final = 16 << 20  # bytes of a reel's window
_log: Final = logging.getLogger(__name__)


class Relay:
    """Read a source for readers at any position; nothing but sound ledgers comes out.

    `budget` bounds the bytes held: a quarter for the window at the live edge, an eighth for what is read
    ahead there, a half for history. Where the source cannot tell how far it is, all readers are in history.
    Of what it has, `offered` is what readers are told of, and up to where they are served.
    """

    def __init__(
        self,
        source: Source,
        ledgers: SoundLedgers,
        *,
        source_type: str,
        budget: int,
        metrics: Metrics,
        offered: LedgerRange | None = None,
    ) -> None:
        self._offered = offered or LedgerRange(0)
        self._source = source
        self._ledgers = ledgers
        self._type = source_type
        self._budget = budget
        self._metrics = metrics
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._head: FanoutBuffer | None = None  # once it is known where the chain is
        self._earliest: int | None = None
        self._asked = False
        self._reels: list[FanoutBuffer] = []
        self._readers = 0
        self._trouble: StellarrowError | None = None
        self._unsound: dict[int, str] = {}

    def start(self) -> None:
        """Begin to follow the live edge."""
        threading.Thread(target=self._begin, name="stellarrow-head", daemon=True).start()

    def close(self) -> None:
        """Let every stream end at the ledger it has reached; twice is harmless."""
        self._stop.set()
        with self._lock:
            for reel in (*self._reels, *([self._head] if self._head else [])):
                reel.end()

    @property
    def latest(self) -> int | None:
        """The last ledger that went through, or that the source is known to have."""
        reels = [self._head] if self._head else self._reels
        return max((reel.next - 1 for reel in reels), default=None)

    @property
    def earliest(self) -> int | None:
        """The first ledger the source told it has, when asked at the start, or the first that is offered."""
        return max(self._earliest or 0, self._offered.first) or None

    def streams(
        self, start: int, end: int | None = None, *, gone: Callable[[], bool] = lambda: False
    ) -> Iterator[list[Ledger]]:
        """Yield ledgers from `start` (0: the latest) to `end`, or without end, several at a time.

        `gone` tells that the reader needs no more. LedgerUnsound, LedgerMissing and SourceUnavailable say
        why a ledger cannot be given.
        """
        while not self.ready and not gone() and not self._stop.wait(_SOON):
            pass  # where the chain is will be known in a moment
        due = start or self.latest or 0
        if not due:
            raise ConfigError("the source cannot tell which ledger is the latest: ask for one by its number")
        last = min(LAST_POSSIBLE if end is None else end, self._offered.end)
        before: Ledger | None = None
        self._count(1)
        try:
            while due <= last and not self._stop.is_set() and not gone():
                with closing(self._reader(due, last)) as reader:
                    while due <= last and (taken := reader.take(gone)):
                        wanted = [ledger for ledger in taken if ledger.sequence <= last]
                        _check_link(before, wanted[0])
                        before, due = wanted[-1], wanted[-1].sequence + 1
                        yield wanted
        finally:
            self._count(-1)

    @property
    def ready(self) -> bool:
        """Tell whether readers can be served."""
        return self._head is not None or self._asked

    @property
    def is_away(self) -> bool:
        """Tell whether the source does not answer now."""
        return isinstance(self._trouble, SourceUnavailable)

    @property
    def components(self) -> tuple[Component, ...]:
        """What /health shows of it."""
        return Part(self._check), Part(self._check_quarantine)

    def measured(self) -> dict[str, float]:
        """Return what a control plane is told with each heartbeat."""
        return {"current_ledger": float(self.latest or 0), "streams": float(self._readers)}

    def _check(self) -> Check:
        head = self._head
        last = head.last if head else None
        return Check(
            "source",
            self._trouble is None,
            str(self._trouble or ("" if self.ready else "waits for the source to tell where the chain is")),
            {
                "current_ledger": self.latest,
                "lag_seconds": round(time.time() - last.closed_at.timestamp(), 1) if last else None,
                "window_ledgers": head.depth if head else 0,
                "streams": self._readers,
                "history_reels": len(self._reels),
            },
            essential=not self.is_away,
        )

    def _check_quarantine(self) -> Check:
        numbers = sorted(self._unsound)
        message = f"ledger {numbers[-1]}: {self._unsound[numbers[-1]]}" if numbers else ""
        return Check("quarantine", not numbers, message, {"ledgers": len(numbers)}, essential=False)

    def _count(self, change: int) -> None:
        with self._lock:
            self._readers += change

    def _reader(self, due: int, last: int) -> Reader:
        """Attach to the reel that has a ledger, or will have it next; begin one where none does."""
        with self._lock:
            head = self._head
            if head and due >= head.first:
                return head.attach(due)
            self._reels = [reel for reel in self._reels if not reel.ended]
            for reel in self._reels:
                if reel.holds(due):
                    return reel.attach(due)
            # No farther than its first reader wants: from there the head has it, or another reel.
            end = min(last, head.first - 1) if head else last
            return self._history(LedgerRange(due, None if end == LAST_POSSIBLE else end))

    def _history(self, ledgers: LedgerRange) -> Reader:
        if len(self._reels) >= max(_FEWEST, min(_MAX_BUFFERS, self._budget // 4 // _LEAST)):
            raise SourceUnavailable(
                f"{len(self._reels)} readers are at different places of the history already: try again later",
                retry_after=_POLL,
            )
        # Wide enough that readers who began together stay together; the first get most.
        left = self._budget // 4 - sum(reel.budget for reel in self._reels)
        window = max(_LEAST, left // 4)
        ahead = max(_LEAST // 4, self._budget // 64)
        reel = FanoutBuffer(ledgers.first, budget=window, ahead=ahead)
        reader = reel.attach(ledgers.first)
        self._reels.append(reel)
        threading.Thread(
            target=self._wind, args=(reel, ledgers, ahead), name="stellarrow-reel", daemon=True
        ).start()
        return reader

    def _wind(self, reel: FanoutBuffer, ledgers: LedgerRange, budget: int) -> None:
        """Read history into a reel while it has readers."""
        try:
            for part in self._ledgers.read(ledgers, budget=budget):
                if not reel.append(part):
                    break
                self._count_passed(part)
                if self._head is None:
                    self._show(part[-1])
            else:
                if reel.next <= ledgers.end and not self._stop.is_set():
                    raise LedgerMissing(f"the source ended before ledger {reel.next}")
            reel.end()
        except StellarrowError as error:
            self._note(error)
            reel.fail(error)
            # Its readers are told; whoever asks later tries anew.
            with self._lock:
                self._reels = [one for one in self._reels if one is not reel]

    def _begin(self) -> None:
        while not self._stop.is_set() and self._head is None:
            try:
                held = self._source.available()
            except ConfigError:
                self._asked = True
                return  # it cannot tell
            except StellarrowError as error:
                self._note(error)
                self._trouble = error
            else:
                self._trouble = None
                if held:
                    self._earliest = held.first
                    self._head = FanoutBuffer(held.last, budget=self._budget // 4)
                    self._follow(self._head)
                    return
            self._stop.wait(_POLL)

    def _follow(self, head: FanoutBuffer) -> None:
        """Read the live edge for as long as the service lives, through whatever the source does."""
        rest = _POLL
        while not self._stop.is_set():
            begun = head.next
            # While a ledger is in the way nothing is read beyond it, again and again.
            wanted = LedgerRange(begun, begun if self._trouble else None)
            try:
                for part in self._ledgers.read(wanted, budget=self._budget // 8, before=head.last):
                    self._append(head, part)
                    if self._stop.is_set():
                        return
            except StellarrowError as error:
                if not (isinstance(error, LedgerMissing) and self._is_to_come(head.next)):
                    self._fail(head, error)
                elif self.is_away:
                    self._trouble = None  # it answers again
            rest = _POLL if head.next > begun or not self._trouble else min(rest * 2, _LONGEST)
            if head.next == begun or self._trouble:
                self._stop.wait(rest)

    def _fail(self, head: FanoutBuffer, error: StellarrowError) -> None:
        if str(error) != str(self._trouble):
            self._note(error)
        self._trouble = error
        if not isinstance(error, SourceUnavailable):
            head.fail(error)

    def _append(self, head: FanoutBuffer, ledgers: list[Ledger]) -> None:
        head.append(ledgers)
        self._trouble = None
        self._count_passed(ledgers)
        self._metrics.queue_depth.set(head.depth)
        self._show(ledgers[-1])

    def _count_passed(self, ledgers: list[Ledger]) -> None:
        self._metrics.ledgers_processed.labels(self._type, "success").inc(len(ledgers))

    def _show(self, last: Ledger) -> None:
        self._metrics.current_ledger.labels(self._type).set(last.sequence)
        self._metrics.lags_behind(last.closed_at.timestamp())

    def _is_to_come(self, ledger: int) -> bool:
        """Tell whether a source has only not come so far yet."""
        try:
            held = self._source.available()
        except StellarrowError:
            return False
        return not held or ledger > held.last

    def _note(self, error: StellarrowError) -> None:
        _log.error("%s", error)
        if isinstance(error, LedgerUnsound):
            self._unsound[error.ledger] = str(error)
            self._metrics.ledgers_processed.labels(self._type, "quarantined").inc()


def _check_link(before: Ledger | None, ledger: Ledger) -> None:
    """Hold reels to one another: what passes from one to the next must be one chain."""
    if before and unlinked(ledger.sequence, ledger.previous_hash, before.sequence, before.hash):
        raise LedgerUnsound(
            f"ledger {ledger.sequence} does not follow ledger {before.sequence}, sent before it: the"
            " source returned two different chains; check the source",
            ledger=ledger.sequence,
        )
