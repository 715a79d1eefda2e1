"""The processor without its servers: sessions started, stopped, watched and remembered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from stellarrow.core.decode import Decoder
from stellarrow.core.named_queries import Catalogue
from stellarrow.core.tables import table
from stellarrow.enrichment.tokens import Tokens
from stellarrow.errors import ConfigError, StellarrowError, Unavailable, UnknownSession
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.net.redaction import shortened
from stellarrow.processor.ended import discard_many, discard_old, found_forgotten
from stellarrow.processor.kept_readers import KeptReaders
from stellarrow.processor.reads.range_slots import RangeSlots
from stellarrow.processor.reads.result_cache import ResultCache
from stellarrow.processor.replicas import Replicas
from stellarrow.processor.session import Session, Status
from stellarrow.processor.session_context import SessionContext
from stellarrow.processor.session_decoder import Slots, Ways
from stellarrow.processor.session_figures import FiguresRoom
from stellarrow.processor.session_store import Store
from stellarrow.processor.session_worker import SessionWorker
from stellarrow.processor.shared_sessions import SharedSessions
from stellarrow.processor.state_lock import StateLock
from stellarrow.processor.typed_sessions import TypedSessions
from stellarrow.protocols import Source
from stellarrow.spool.retention import Retention
from stellarrow.telemetry.metrics import Metrics
from stellarrow.telemetry.rates import Recent

TABLES: Final = ("contract_data@1.0", "contract_data@2.0", "contract_events", "token_transfers", "ledgers")

_AT_ONCE: Final = 8  # sessions, and as many ranges decoded on demand
_AGE_CHECK_SECONDS: Final = 30.0  # seconds between looks at what is too old, at most
_BATCH_LIMIT: Final = 1_000_000  # rows
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a processor works; `where` holds unless a filter was configured before.

    Ledgers that cannot be decoded go to `dead_letters`; without, a session fails at the first. Figures over
    time windows take `figures_mb` of memory, beside `memory_mb`; with 0 none are kept.
    """

    state_dir: Path
    tables: tuple[str, ...] = TABLES
    network: Network | None = None
    where: Filter = field(default_factory=Filter)
    batch_size: int = 1_000
    workers: int = 4
    memory_mb: int = 1_024
    retention: Retention = field(default_factory=Retention)
    queries: Catalogue = field(default_factory=Catalogue)
    query_cache_mb: int = 64
    dead_letters: Path | None = None
    figures_mb: int = 192
    typed: TypedSessions | None = None

    def check(self) -> None:
        """Raise ConfigError where no session could work with them."""
        if not self.tables:
            raise ConfigError("there is no table for sessions to keep: name at least one")
        self.check_filter(self.where)

    def check_filter(self, where: Filter) -> None:
        Decoder(self.tables, network=self.network or "pubnet", where=where)

    @property
    def kept(self) -> tuple[str, ...]:
        """What sessions keep, each as `name@version`."""
        return tuple(str(table(name)) for name in self.tables)

    @property
    def share_mb(self) -> int:
        """Of the memory, what one session, or one range decoded on demand, may have in flight."""
        return max(1, self.memory_mb // (2 * _AT_ONCE))


def _remembered(configured: Filter | None, where: Filter) -> Filter:
    """Return the filter that was configured; which events, only the settings say."""
    return replace(configured, event_types=where.event_types) if configured else where


class Processor:
    """Any number of threads may call; `changed` is told whenever readers may find something new."""

    def __init__(
        self,
        open_source: Callable[[], Source],
        options: Options,
        *,
        kind: str = "source",
        metrics: Metrics | None = None,
        shared: SharedSessions | None = None,
    ) -> None:
        """Open what is remembered; with `shared`, it is one of the replicas that share their sessions."""
        options.check()
        self.options = options
        self.kind = kind
        self.metrics = metrics or Metrics()
        self.changed = threading.Condition()
        self.draining = threading.Event()
        self.open_source = open_source
        self.ranges = RangeSlots(_AT_ONCE, patience=options.retention.patience)
        self.slots = Slots(options.workers, metrics=self.metrics, kind=kind)
        self.results = ResultCache(options.query_cache_mb << 20, self.metrics)
        self.commits = Recent()  # seconds
        self._lock = threading.Lock()
        self._configuring = threading.Lock()
        self._claim = StateLock(options.state_dir)
        with ExitStack() as stack:
            stack.callback(self._claim.release)
            self._store = Store(options.state_dir / "sessions.sqlite3")
            stack.callback(self._store.close)
            self.readers = KeptReaders(options.state_dir / "readers.json")
            self.tokens = Tokens(options.state_dir / "tokens.sqlite3")
            stack.callback(self.tokens.close)
            self._where = _remembered(self._store.filter(), options.where)
            options.check_filter(self._where)
            remembered = self._store.sessions()
            self.forgotten = found_forgotten(options.state_dir, remembered)
            stack.pop_all()
        self.replicas = Replicas(shared, self, self.draining) if shared else None
        self._shared = self._context()
        self._works = {one.id: self._work(one) for one in remembered}

    def _context(self) -> SessionContext:
        options = self.options
        return SessionContext(
            open_source=self.open_source,
            network=options.network,
            store=self._store,
            slots=self.slots,
            ways=Ways(for_figures=options.figures_mb > 0),
            figures=FiguresRoom(options.figures_mb),
            budget_mb=options.share_mb,
            retention=options.retention,
            dead_letters=options.dead_letters,
            commits=self.commits,
            metrics=self.metrics,
            kind=self.kind,
            changed=self.changed,
            tokens=self.tokens,
            readers=self.readers,
            typed=options.typed,
        )

    def listens_on(self, where: str) -> None:
        """Write down where, for a second processor to name."""
        self._claim.note(where)

    def resume(self) -> None:
        """Let the sessions go on that were running when the processor ended."""
        self._discard_old()
        self._discard_many()
        for work in self.works():
            if not (status := work.session.status).is_final:
                _log.info("session %s continues after ledger %d", work.session.id, work.session.current)
                work.start(patient=True)
                if status is Status.STOPPING:
                    work.stop()
        if self.replicas:
            self.replicas.begin(self._where)
        if self.options.retention.age:
            threading.Thread(target=self._forget_in_time, name="stellarrow-age", daemon=True).start()

    def start(
        self, first: int, last: int = 0, *, batch_size: int = 0, patient: bool = False, once: bool = False
    ) -> Session:
        """Begin a session; without a last ledger it follows the chain.

        One that is `patient` waits for a source that does not answer; any other one fails. `once`: where
        another replica has begun one of the same ledgers, it is that one.
        """
        if first == 0:
            raise ConfigError("start_ledger is 0: name the first ledger to process")
        if batch_size > _BATCH_LIMIT:
            raise ConfigError(f"batch_size is {batch_size}: it must be at most {_BATCH_LIMIT} rows")
        if last and last < first:
            raise ConfigError(f"end_ledger is {last}, before start_ledger {first}: swap them")
        if self.draining.is_set():
            raise Unavailable("the processor is shutting down: start the session when it is back")
        self._discard_old()
        self._discard_many()
        session = Session.new(
            LedgerRange(first, last or None),
            batch_size=batch_size or self.options.batch_size,
            tables=self.options.tables,
        ).became(Status.STARTING)
        if self.replicas:
            with self._lock:
                self._check_room()
            session = self.replicas.shared.add(session, once=once).begun()
        return self._begin(session, patient=patient)

    def _begin(self, session: Session, *, patient: bool) -> Session:
        with self._lock:
            if session.id in self._works:
                return self._works[session.id].session
            self._check_room()
            self._store.save(session)
            work = self._works[session.id] = self._work(session)
        work.start(patient=patient)
        return session

    def _check_room(self) -> None:
        active = sum(not work.session.status.is_final for work in self._works.values())
        if active >= _AT_ONCE:
            raise Unavailable(f"{active} sessions run, and no more fit into the memory: stop one first")

    def take_up(self, session: Session) -> bool:
        """Begin a session that another replica was asked for; False where no more fit in just now."""
        for name in session.tables:
            table(name)
        with self._lock:
            try:
                self._check_room()
            except Unavailable:
                return False
        _log.info("session %s of another replica begins here: ledgers %s", session.id, session.ledgers)
        self._begin(session, patient=True)
        return True

    @property
    def damage(self) -> list[str]:
        """What on the disk is not what was written there, as far as was seen."""
        return [*self.forgotten, *filter(None, (work.damage for work in self.works()))]

    def has(self, ledgers: LedgerRange) -> bool:
        """Tell whether a session is of these ledgers, other than one that failed before it kept anything."""
        return any(work.session.ledgers == ledgers and not work.session.is_vain for work in self.works())

    def stop(self, session_id: str) -> Session:
        """Let a session end soon, at every replica; one that has ended stays as it is."""
        work = self.work(session_id)
        if self.replicas and not work.session.status.is_final:
            self.replicas.shared.end(session_id, stopped=True)
        self.stop_here(session_id)
        return work.session

    def stop_here(self, session_id: str) -> None:
        """Let a session end soon at this replica."""
        work = self.work(session_id)
        if not work.session.status.is_final:
            work.stop()

    def missing(self, session_ids: Iterable[str]) -> set[str]:
        """Return those of which nothing is known, also at the other replicas."""
        with self._lock:
            unknown = {one for one in session_ids if one not in self._works}
        if not (unknown and self.replicas):
            return unknown
        self.replicas.look(unknown)
        with self._lock:
            return unknown - self._works.keys()

    def work(self, session_id: str) -> SessionWorker:
        if session_id not in self.missing([session_id]):
            with self._lock:
                return self._works[session_id]
        raise UnknownSession(
            f"there is no session {shortened(session_id)!r}: StartProcessing answers with one's id"
        )

    def works(self) -> list[SessionWorker]:
        """Return every session, the oldest first."""
        with self._lock:
            return list(self._works.values())

    @property
    def where(self) -> Filter:
        return self._where

    def configure(self, where: Filter) -> None:
        """Let a filter hold from the next ledger on, in every session of every replica, and remember it."""
        if self.replicas:
            self.options.check_filter(where)
            self.replicas.shared.configure(where)
        self.configure_here(where)

    def configure_here(self, where: Filter) -> None:
        """Let a filter hold from the next ledger on at this replica."""
        with self._configuring:  # not the lock that others wait for: this may take a while
            self.options.check_filter(where)
            self._store.save_filter(where)
            with self._lock:
                self._where = where
            for work in self.works():
                work.configure(where)

    def drain(self) -> None:
        """Let streams end at a ledger's border, and sessions for now."""
        self.draining.set()
        with self.changed:
            self.changed.notify_all()
        for work in self.works():
            work.drain()

    def close(self, *, within: float = 10.0) -> None:
        """Drain, and let go of everything within so many seconds."""
        self.drain()
        deadline = time.monotonic() + within
        ended = [work.join(max(0.0, deadline - time.monotonic())) for work in self.works()]
        for work, has_ended in zip(self.works(), ended, strict=True):
            if work.spool and has_ended:
                work.spool.close()
        if all(ended):
            self._store.close()
            self.tokens.close()
            self._claim.release()
            if self.replicas:
                self.replicas.shared.close()
        else:
            _log.warning("%d sessions did not end in time: what they had durable stays", ended.count(False))

    def _forget_in_time(self) -> None:
        """Let go of what has become too old, also where nothing is written any more."""
        while not self.draining.wait(min(_AGE_CHECK_SECONDS, (self.options.retention.age or 0) / 4)):
            for spool in filter(None, (work.spool for work in self.works())):
                with suppress(StellarrowError):  # a disk that refuses is tried again
                    spool.trim()
            self._discard_old()

    def _discard_old(self) -> None:
        if age := self.options.retention.age:
            discard_old(self.works(), age)

    def _discard_many(self) -> None:
        for work in discard_many(self.works()):
            with suppress(Unavailable):  # without room, the next start does it
                self._store.forget(work.session.id)
            with self._lock:
                self._works.pop(work.session.id, None)

    def _work(self, session: Session) -> SessionWorker:
        folder = self.options.state_dir / "sessions" / session.id
        return SessionWorker(session, folder, self._where, self._shared)
