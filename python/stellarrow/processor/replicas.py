"""A processor as one of several: what others were asked to do is done here too, and the other way round."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from typing import Final, Protocol

from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.filter import Filter
from stellarrow.processor.session import Session, Status
from stellarrow.processor.session_worker import SessionWorker
from stellarrow.processor.shared_sessions import Shared, SharedSession, SharedSessions

_LOOK_SECONDS: Final = 1.0  # between looks at what others were asked for
_FRESH_SECONDS: Final = 0.2  # a look for a client's sake is no older, and asks no more often
_log: Final = logging.getLogger(__name__)


class Here(Protocol):
    """The sessions of this replica."""

    def works(self) -> list[SessionWorker]:
        """Return those it works on, or has worked on."""

    def take_up(self, session: Session) -> bool:
        """Begin a session of others; False where no more fit in just now."""

    def stop_here(self, session_id: str) -> None:
        """Let a session end."""

    def configure_here(self, where: Filter) -> None:
        """Let a filter hold from the next ledger on."""


class Replicas:
    """Keeps this replica and the shared record alike; any thread may call.

    While the record cannot be read, sessions and readers go on with what is known here.
    """

    def __init__(self, shared: SharedSessions, here: Here, draining: threading.Event) -> None:
        self.shared = shared
        self.trouble = ""  # why the record cannot be used, while it cannot
        self._here = here
        self._draining = draining
        self._lock = threading.Lock()
        self._taken: set[str] = set()  # sessions that were begun here, though they may be forgotten since
        self._where: Filter | None = None
        self._read_at = float("-inf")

    def begin(self, where: Filter) -> None:
        """Share what is here, take over what is there, and go on with both in a thread.

        The filter of the settings holds where none is shared yet.
        """
        self._taken |= {work.session.id for work in self._here.works()}
        self._begun(where)
        threading.Thread(target=self._follow, args=(where,), name="stellarrow-replicas", daemon=True).start()

    def _begun(self, where: Filter) -> bool:
        """Tell whether the record knows of us."""
        try:
            held = self.shared.configure(where, unless_set=True)
            if held != where:
                _log.warning(
                    "the filter that %s holds is another than the settings': it holds until ConfigureFilters"
                    " changes it",
                    self.shared.where,
                )
            for work in self._here.works():
                session = work.session
                if not (session.is_vain or session.damage) and (
                    not session.status.is_final or session.is_done
                ):
                    self.shared.add(session)
            self.look()
        except StellarrowError as error:
            self._tell(str(error))
            return False
        self._tell("")
        return True

    def look(self, wanted: Collection[str] = ()) -> None:
        """Do what others were asked to do since the last look; Unavailable where the record is.

        Sessions that have ended are taken up when they are `wanted`: somebody reads them.
        """
        with self._lock:
            if wanted and time.monotonic() - self._read_at < _FRESH_SECONDS:
                time.sleep(_FRESH_SECONDS)
            shared = self.shared.read()
            self._read_at = time.monotonic()
            if shared.where is not None and shared.where != self._where:
                self._here.configure_here(shared.where)
                self._where = shared.where
            self._compare(shared, wanted)

    def _compare(self, shared: Shared, wanted: Collection[str]) -> None:
        works = {work.session.id: work.session for work in self._here.works()}
        for one in shared.sessions:
            session = works.get(one.id)
            if session is None:
                self._take_up(one, is_wanted=one.id in wanted)
            elif one.stopped and not session.status.is_final:
                _log.info("session %s was stopped at another replica", one.id)
                self._here.stop_here(one.id)
            elif session.status is Status.STOPPED and not one.ended_at:
                self.shared.end(one.id, stopped=not session.is_done)

    def _take_up(self, one: SharedSession, *, is_wanted: bool) -> None:
        if one.stopped or one.id in self._taken or (one.ended_at and not is_wanted):
            return
        try:
            begins = self._here.take_up(one.begun())
        except StellarrowError as error:
            if isinstance(error, Unavailable):
                raise
            _log.error("session %s of another replica cannot be taken up: %s", one.id, error)
            begins = True
        if begins:
            self._taken.add(one.id)

    def _follow(self, where: Filter) -> None:
        is_begun = not self.trouble
        while not self._draining.wait(_LOOK_SECONDS):
            if not is_begun:
                is_begun = self._begun(where)
                continue
            try:
                self.look()
                self._tell("")
            except StellarrowError as error:
                self._tell(str(error))
            except Exception:
                _log.exception("unexpected error while looking at %s", self.shared.where)

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("%s; what is known here goes on", trouble)
        self.trouble = trouble
