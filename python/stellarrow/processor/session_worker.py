"""One session at work, in a thread of its own: source, decoder, spool."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import table
from stellarrow.errors import Damaged, SinkUnavailable, StellarrowError, Unavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerSet, Network
from stellarrow.pipeline import loop
from stellarrow.pipeline.dead_letters import DeadLetter
from stellarrow.processor.reads.versions import newest
from stellarrow.processor.session import Mark, Session, Status
from stellarrow.processor.session_context import SessionContext
from stellarrow.processor.session_decoder import Filtered, agreed_network, changed_network
from stellarrow.processor.session_message import is_of_this_machine, said_of, source_trouble, waits_for
from stellarrow.processor.session_sink import Committed, Output, Trail
from stellarrow.processor.thread_priority import lower_priority
from stellarrow.protocols import Source
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
        self.trail = Trail()
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
        self.figures = shared.figures.of_session(self._stored, folder)
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
        lines = [waits_for(self.session, self.spool, self.source_trouble), self.lost, said_of(self.left_out)]
        lines = list(filter(None, dict.fromkeys(lines)))
        if not any(self.damage in one for one in lines):
            lines.append(self.damage)
        return "; ".join(lines)

    @property
    def source_trouble(self) -> str:
        """Why nothing can be read now, where that passes; empty while any server of the source answers."""
        return source_trouble(self.session, self.source, self._away)

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
                self.figures.rest(self.spool, has_ended=self.session.status.is_final)
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
                    isinstance(error, Unavailable) and (self._has_worked or is_of_this_machine(error))
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
                if self._draining.is_set() and not self.session.is_done:
                    with self._lock:
                        self._shared.store.save(self.session)
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
            self.figures.resume(spool, network, source, self._stop)
            decoder = self._begun(network)
            output = Output(
                spool,
                decoder,
                batch_size=self.session.batch_size,
                after=self.session.reached,
                expect=self._expect,
                kept=self._note,
                learn=self._shared.learn,
                trail=self.trail,
                figures=self.figures,
            )
            loop.run(
                decoder.feeding(source),
                tables=self._stored,
                sinks=[output],
                options=DecodeOptions(network=network),
                limits=loop.Limits(self._shared.slots.count, self._shared.budget_mb, _COMMIT_SECONDS),
                ledgers=self.session.ledgers,
                decoder=decoder,
                dead_letters=self._shared.letters(self.session.id, network, partial(self._leave_out, output)),
                stop=self._stop,
            )

    def _begun(self, network: Network) -> Filtered:
        with self._lock:
            self._decoder = self._shared.decoder(self._folder, self._stored, network, self._where)
        self._reach(Status.RUNNING, network=network.passphrase, message="")
        self._away = ""
        return self._decoder

    def _agreed(self, source: Source) -> Network:
        """Return the network of the source, which must be the one the session began with."""
        network = agreed_network(source, self._shared.network)
        begun = self.session.network
        if begun and begun != network.passphrase:
            if self.session.current or self.left_out:
                raise changed_network(begun, network)
            self.discard()  # no ledger has come yet that proved it
        return network

    def _opened(self, network: Network) -> Spool:
        """Return the spool, with what its last commit left taken note of, as an earlier try may not have."""
        if self.spool is None:
            committed = self.session.current
            spool = self._shared.open_spool(self._folder, self._stored, network, self._stop, committed)
            try:
                self._settle(spool)
            except Damaged:
                spool.close()
                raise
            self._shared.readers.attach(self.session.id, spool, self.kept_tables)
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
        self.figures.forget()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _expect(self, marks: tuple[Mark, ...]) -> None:
        with self._lock:
            self.session = replace(self.session, ahead=marks)
            self._shared.store.save_marks(self.session)
        self._shared.tokens.save()  # what is committed is not read again

    def _note(self, kept: Committed) -> None:
        self._has_worked = True
        self.closed_at = kept.last.run.last_closed_at
        self.rate.add(kept.counts.entries)
        with self._lock:
            self.session = replace(self.session.at(kept.mark), message="")
        self._shared.count(kept)

    def _leave_out(self, output: Output, letter: DeadLetter) -> None:
        output.leave_out(letter)
        _log.error("session %s left out ledger %d: %s", self.session.id, letter.ledger, letter.message)
        self._shared.count_loss(letter)

    def _reach(self, status: Status, **told: str) -> None:
        """Take the steps up to a status, once they are remembered; those behind it are not taken back."""
        with self._lock:
            session = replace(self.session, **told)  # type: ignore[arg-type]  # fields of a session, by name
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
        self._shared.count_error()
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
