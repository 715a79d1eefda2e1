"""One session at work, in a thread of its own: source, decoder, spool."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import table
from stellarrow.errors import Damaged, NetworkMismatch, SinkUnavailable, StellarrowError, Unavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerSet, Network
from stellarrow.pipeline import loop
from stellarrow.pipeline.dead_letters import DeadLetter, DeadLetters
from stellarrow.processor.reads.versions import newest
from stellarrow.processor.session import Mark, Session, Status
from stellarrow.processor.session_context import SessionContext
from stellarrow.processor.session_decoder import Filtered, agreed_network
from stellarrow.processor.session_sink import Committed, Output
from stellarrow.processor.thread_priority import lower_priority
from stellarrow.protocols import Guarded, Source
from stellarrow.spool.spool import Spool
from stellarrow.telemetry.rates import Rate

_RETRY_SECONDS: Final = 2.0  # between tries, beside the source's own patience
_COMMIT_SECONDS: Final = 0.1  # readers wait no longer for what was written
_log: Final = logging.getLogger(__name__)


class SessionWorker:
    """A session being worked on, or having been; its spool is read from while and after that."""

    def __init__(self, session: Session, folder: Path, where: Filter, shared: SessionContext) -> None:
        self.session = session
        self.is_past = session.status.is_final  # it ended before the processor began
        self._spooled = {name: newest(name) for name in session.tables}
        self.kept_tables = {str(table(name)): stored for name, stored in self._spooled.items()}
        self.rate = Rate()
        self._stored = tuple(dict.fromkeys(self._spooled.values()))
        self.closed_at: int | None = None  # unix seconds, of the last ledger
        self.spool: Spool | None = None
        self.lost = session.damage  # why what it kept cannot be read
        self._damage = session.damage
        self._folder = folder
        self._where = where
        self._shared = shared
        self._stop = threading.Event()
        self._draining = threading.Event()
        self._has_worked = session.status is Status.RUNNING
        self._lock = threading.Lock()
        self._away = ""  # why the source cannot be read, while that is waited for
        self.source: Source | None = None
        self._decoder: Filtered | None = None
        # A daemon: what is durable counts, whatever a source keeps it waiting for.
        name = f"stellarrow-session-{session.id[:8]}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        if session.network and (self._folder.exists() or not session.status.is_final):
            self._inspect_spool(Network.from_passphrase(session.network))

    def _inspect_spool(self, network: Network) -> None:
        """Open what an earlier start kept; one that only is away is waited for at work."""
        try:
            self._opened(network)
        except StellarrowError as error:
            if self.session.status.is_final:
                self.lost = f"what it kept cannot be read: {error}; without {self._folder} it is released"
                self._note_damage(error)
                _log.error("session %s: %s", self.session.id, self.lost)
            elif isinstance(error, SinkUnavailable):
                self.lost = f"paused: {error}"
            else:
                self.lost = str(error)
                self._fail(error)

    def _note_damage(self, error: StellarrowError) -> None:
        if isinstance(error, Damaged):
            self._damage = str(error)

    @property
    def damage(self) -> str:
        """What of it on the disk is not what was written there, as far as was seen."""
        return self._damage or (self.spool.damage if self.spool else "")

    @property
    def rows(self) -> dict[str, int]:
        """How many rows of each table became durable."""
        counted = self.session.counts.rows
        return {name: counted.get(stored, 0) for name, stored in self._spooled.items()}

    @property
    def lag(self) -> float | None:
        """How old the last ledger is, in seconds; None before the first, and of a session that has ended."""
        if self.closed_at is None or self.session.status.is_final:
            return None
        return max(0.0, time.time() - self.closed_at)

    @property
    def left_out(self) -> LedgerSet:
        """The ledgers that could not be decoded, and went to the dead letters."""
        return self.spool.left_out if self.spool else LedgerSet()

    @property
    def message(self) -> str:
        """What is wrong, or what is being waited for."""
        lines = []
        if left_out := self.left_out:
            which = f"and {left_out.count - 1} more are" if left_out.count > 1 else "is"
            lines = [f"ledger {left_out.first} {which} left out: stellarrow dlq list says why"]
        lines = list(filter(None, dict.fromkeys((self._waits_for(), self.lost, *lines))))
        if not any(self.damage in one for one in lines):
            lines.append(self.damage)
        return "; ".join(lines)

    def _waits_for(self) -> str:
        if self.session.status.is_final:
            return self.session.message
        if self.spool and self.spool.is_full:
            readers = self.spool.readers
            noun = "reader has" if len(readers) == 1 else "readers have"
            slowest = min(readers, key=lambda name: readers[name], default="")
            return f"paused: the spool is full of what {len(readers)} {noun} not taken yet, least {slowest}"
        trouble = self.source_trouble
        return self.session.message or (f"waiting: {trouble}" if trouble else "")

    @property
    def source_trouble(self) -> str:
        """Why nothing can be read now, where that passes; empty while any server of the source answers."""
        if self.session.status.is_final:
            return ""
        source = self.source
        guards = source.guards if source is not None and isinstance(source, Guarded) else ()
        errors = [str(guard.last_error or "") for guard in guards]
        return self._away or (errors[0] if errors and all(errors) else "")

    def start(self, *, patient: bool = False) -> None:
        """Begin; one that is `patient` waits for a source that never answered, too."""
        self._has_worked = self._has_worked or patient
        self._thread.start()

    def stop(self) -> None:
        """Let it end for good, soon, also where that cannot be remembered yet; what was read is kept."""
        try:
            self._reach(Status.STOPPING)
        finally:
            self._release()

    def drain(self) -> None:
        """Let it end for now: it goes on when the processor starts again."""
        self._draining.set()
        self._release()

    def join(self, timeout: float) -> bool:
        """Tell whether it has ended, after waiting for it."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def configure(self, where: Filter) -> None:
        """Let a filter hold from the next ledger read on."""
        with self._lock:
            if not self.session.status.is_final:
                self._where = where
            if self._decoder:
                self._decoder.set(where)

    def _release(self) -> None:
        self._stop.set()
        if source := self.source:
            source.close()

    def _run(self) -> None:
        lower_priority()
        try:
            self._persist()
        except StellarrowError as error:
            self._fail(error)
        except Exception as error:
            _log.exception("unexpected error in session %s", self.session.id)
            self._fail(StellarrowError(f"unexpected: {error!r}; the log has more"))
        finally:
            if self.spool:
                self.spool.trim()
                self.spool.rest()
            self._forget_means()
            with self._shared.changed:
                self._shared.changed.notify_all()

    def _forget_means(self) -> None:
        """Keep nothing that only work needs: what has ended stays for long."""
        with self._lock:
            self._decoder = self.source = None
            if self.session.status.is_final:
                self._where = Filter()

    def _persist(self) -> None:
        """Work until done or told to stop, whatever places do not answer for a while."""
        while True:
            try:
                self._extract()
                break
            except StellarrowError as error:
                if self._stop.is_set():
                    _log.info("session %s was closed while: %s", self.session.id, error)
                    break
                waits = isinstance(error, SinkUnavailable) or (
                    self._has_worked and isinstance(error, Unavailable)
                )
                if not waits:
                    raise
                self._away = "" if isinstance(error, SinkUnavailable) else str(error)
                self._tell(f"paused: {error}")
                if self._stop.wait(_RETRY_SECONDS):
                    break
        self._end()

    def _end(self) -> None:
        """Remember that it ended, or how far it is for the next start, once there is room for that."""
        while True:
            try:
                if self._draining.is_set() and not self._is_done():
                    self._remember()
                else:
                    self._reach(Status.STOPPED)
                break
            except Unavailable as error:
                self._tell(f"paused: {error}")
                if self._draining.wait(_RETRY_SECONDS):
                    break

    def _extract(self) -> None:
        with closing(self._shared.open_source()) as source:
            self.source = source
            if self._stop.is_set():
                return
            network = self._agreed(source)
            spool = self._opened(network)
            decoder = self._begun(network)
            output = Output(
                spool,
                decoder,
                batch_size=self.session.batch_size,
                after=self.session.reached,
                expect=self._expect,
                kept=self._note,
            )
            loop.run(
                decoder.feeding(source),
                tables=self._stored,
                sinks=[output],
                options=DecodeOptions(network=network),
                limits=loop.Limits(self._shared.workers, self._shared.budget_mb, _COMMIT_SECONDS),
                ledgers=self.session.ledgers,
                decoder=lambda chunk: spool.prepared(decoder(chunk)),
                dead_letters=self._dead_letters(network, output),
                stop=self._stop,
            )

    def _dead_letters(self, network: Network, output: Output) -> DeadLetters | None:
        """Return where undecodable ledgers are kept; a retry makes all rows, not those of a filter."""
        if self._shared.dead_letters is None:
            return None
        job = {
            "service": "processor",
            "session": self.session.id,
            "network": network.passphrase,
            "where": "",
            "decoded": False,
            "transfers": "derive",
        }

        def leave_out(letter: DeadLetter) -> None:
            output.leave_out(letter)
            self._note_loss(letter)

        return DeadLetters(self._shared.dead_letters, job=job, put_aside=leave_out)

    def _begun(self, network: Network) -> Filtered:
        with self._lock:
            self._decoder = Filtered(
                self._stored,
                network=network,
                where=self._where,
                slots=self._shared.slots,
                ways=self._shared.ways,
            )
        self._reach(Status.RUNNING, network=network.passphrase, message="")
        self._away = ""
        return self._decoder

    def _agreed(self, source: Source) -> Network:
        """Return the network of the source, which must be the one the session began with."""
        network = agreed_network(source, self._shared.network)
        begun = self.session.network
        if begun and begun != network.passphrase:
            if not self.session.current and not self.left_out:
                self.discard()  # no ledger has come yet that proved it
                return network
            raise NetworkMismatch(
                f"the session began with ledgers of {Network.from_passphrase(begun)}, and now they are"
                f" of {network}: fix the source or NETWORK_PASSPHRASE, or start another session"
            )
        return network

    def _opened(self, network: Network) -> Spool:
        """Return the spool, with what its last commit left taken note of, as an earlier try may not have."""
        if self.spool is None:
            if self.session.current and not self._folder.exists():
                raise SinkUnavailable(
                    f"the spool in {self._folder} is not there: mount its disk, and it continues"
                )
            spool = Spool(
                self._folder,
                self._stored,
                network=network,
                retention=self._shared.retention,
                changed=self._shared.changed,
                stop=self._stop,
                committed=self.session.current,
            )
            try:
                self._settle(spool)
            except Damaged:
                spool.close()
                raise
            self.spool, self.lost = spool, ""
        else:
            self._settle(self.spool)
        return self.spool

    def _settle(self, spool: Spool) -> None:
        with self._lock:
            self.session = self.session.settled(spool.last)

    def discard(self) -> None:
        """Delete what an ended session kept; what it was stays known."""
        spool, self.spool, self.lost = self.spool, None, ""
        if spool:
            spool.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _expect(self, marks: tuple[Mark, ...]) -> None:
        with self._lock:
            self.session = replace(self.session, ahead=marks)
            self._shared.store.save_marks(self.session)

    def _note(self, kept: Committed) -> None:
        self._has_worked = True
        self.closed_at = kept.last.run.last_closed_at
        self.rate.add(kept.counts.entries)
        with self._lock:
            self.session = replace(self.session.at(kept.mark), message="")
        self._shared.commits.add(kept.took)
        metrics, kind = self._shared.metrics, self._shared.kind
        metrics.processing_duration.labels(kind, "commit").observe(kept.took)
        metrics.ledgers_processed.labels(kind, "success").inc(kept.counts.ledgers)
        metrics.batches_generated.labels(kind).inc(kept.counts.batches)
        metrics.contracts_found.inc(kept.counts.entries)
        metrics.current_ledger.labels(kind).set(kept.last.last)

    def _note_loss(self, letter: DeadLetter) -> None:
        _log.error("session %s left out ledger %d: %s", self.session.id, letter.ledger, letter.message)
        quarantined = self._shared.metrics.ledgers_processed.labels(self._shared.kind, "quarantined")
        quarantined.inc(letter.last - letter.ledger + 1)

    def _is_done(self) -> bool:
        last = self.session.ledgers.last
        return last is not None and self.session.current >= last

    def _reach(self, status: Status, **told: str) -> None:
        """Take the steps up to a status, once they are remembered; those behind it are not taken back."""
        with self._lock:
            session = replace(self.session, **told)  # type: ignore[arg-type]
            while session.status < status:
                session = session.became(Status(session.status + 1))
            self._shared.store.save(session)
            if session.status is not self.session.status:
                _log.info("session %s: %s", session.id, session.status.name)
            self.session = session

    def _tell(self, message: str) -> None:
        _log.warning("session %s: %s", self.session.id, message)
        with self._lock:
            self.session = self.session.telling(message)

    def _fail(self, error: StellarrowError) -> None:
        """End with an error; one about damage is not remembered: once that is mended it goes on."""
        message = str(error)
        self._note_damage(error)
        _log.error("session %s: %s", self.session.id, message)
        self._shared.metrics.ledgers_processed.labels(self._shared.kind, "error").inc()
        with self._lock:
            if self.session.status.is_final:
                return  # it had ended, which could not be remembered
            self.session = self.session.became(Status.ERROR, message)
            if isinstance(error, Damaged):
                return
            try:
                self._shared.store.save(self.session)
            except StellarrowError:
                _log.exception("session %s: its error could not be remembered", self.session.id)

    def _remember(self) -> None:
        with self._lock:
            self._shared.store.save(self.session)
