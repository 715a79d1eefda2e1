"""The figures of a session: counted as it goes, saved now and then, and after a start what they were.

They are of all rows, whatever filter holds. What was counted since the last save is counted again: out of the
spool, or, where a filter has left rows out there, from the source.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from stellarrow.analysis.windows import Analytics
from stellarrow.core.decode import Decoder
from stellarrow.core.rows import no_rows
from stellarrow.core.tables import schema, table
from stellarrow.errors import LedgerMissing, SourceError, StellarrowError, Stopped, Unavailable
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.processor.session_decoder import counted_tables
from stellarrow.protocols import Source
from stellarrow.spool.os_errors import translate_os_errors
from stellarrow.spool.spool import Spool
from stellarrow.storage.atomic import write_all, written_aside
from stellarrow.storage.private import private_file

_SAVED: Final = "figures"
_PARTIAL: Final = "figures-partial"  # names the first ledger since, of which the spool lacks rows
_SAVE_SECONDS: Final = 60.0  # between saves, at least
_SAVE_SHARE: Final = 20  # saves take at most about a twentieth of the time
_log: Final = logging.getLogger(__name__)


class FiguresRoom:
    """The memory that the figures of all sessions share."""

    def __init__(self, megabytes: int) -> None:
        self._bytes = megabytes << 20
        self._lock = threading.Lock()
        self._taken: list[Analytics] = []
        self._read: tuple[Path, Analytics] | None = None

    def of_session(self, tables: Sequence[str], folder: Path) -> SessionFigures:
        """Return the figures of a session that keeps these tables; none where there is no room at all."""
        return SessionFigures(self, counted_tables(tables) if self._bytes else [], folder)

    def take(self) -> Analytics:
        """Make room for one session more."""
        made = Analytics()
        with self._lock:
            self._taken.append(made)
            self._share()
        return made

    def release(self, analytics: Analytics) -> None:
        with self._lock:
            self._taken = [one for one in self._taken if one is not analytics]
            self._share()

    def read(self, path: Path) -> Analytics | None:
        """Return what a session saved that is not at work; the last one stays in memory."""
        with self._lock:
            if self._read is None or self._read[0] != path:
                made = _restored(path)
                self._read = (path, made) if made else None
            return self._read[1] if self._read else None

    def forget(self, path: Path) -> None:
        """Read what a session saved anew when it is asked for again."""
        with self._lock:
            if self._read and self._read[0] == path:
                self._read = None

    def _share(self) -> None:
        for one in self._taken:
            one.limit(self._bytes // len(self._taken))


class SessionFigures:
    """The figures of one session; its own thread counts, any may ask."""

    def __init__(self, room: FiguresRoom, tables: Sequence[str], folder: Path) -> None:
        self.tables = {table(name).name: name for name in tables}
        self._room = room
        self._folder = folder
        self._analytics: Analytics | None = None
        self._is_partial = False  # whether the spool is known to lack rows since the last save
        self._saved_at = time.monotonic()
        self._save_took = 0.0

    def answering(self) -> Analytics | None:
        """Return what answers: what is counted, or what was saved; None where there is neither."""
        if not self.tables:
            return None
        return self._analytics or self._room.read(self._folder / _SAVED)

    def resume(self, spool: Spool, network: Network, source: Source, stop: threading.Event) -> None:
        """Be what they were at the spool's last ledger, before the session goes on."""
        if not self.tables:
            with translate_os_errors(self._folder):  # from now on nobody notes what the spool lacks
                (self._folder / _SAVED).unlink(missing_ok=True)
        if not self.tables or self._analytics is not None:
            return
        self._room.forget(self._folder / _SAVED)
        analytics = self._room.take()
        try:
            if not self._rebuild(analytics, spool, network, source, stop):
                self._room.release(analytics)
                analytics = self._room.take()
        except BaseException:
            self._room.release(analytics)
            raise
        self._analytics = analytics
        self._save(analytics)

    def expect(self, batch: LedgerBatch) -> None:
        """Note durably, before the spool gets a batch that lacks rows, that it will."""
        if self._analytics is None or self._is_partial:
            return
        pairs = [pair for pair in self.tables.items() if pair[0] in batch.counted]
        if any(batch.counted[name].num_rows != batch.tables[kept].num_rows for name, kept in pairs):
            with translate_os_errors(self._folder):
                _write(self._folder / _PARTIAL, str(batch.first).encode())
            self._is_partial = True

    def count(self, batch: LedgerBatch) -> None:
        """Count what the spool got; a ledger that came before is left out."""
        if self._analytics is not None:
            self._analytics.count(batch)

    def save_in_time(self) -> None:
        """Save, between commits, unless that was just now."""
        due = self._saved_at + max(_SAVE_SECONDS, self._save_took * _SAVE_SHARE)
        if self._analytics is not None and time.monotonic() >= due:
            self._save(self._analytics)

    def rest(self, spool: Spool, *, has_ended: bool) -> None:
        """Save what the session has reached; after its end, keep nothing in memory."""
        analytics = self._analytics
        if analytics is None:
            return
        if analytics.last == spool.last:  # what the spool has not, another start may read otherwise
            self._save(analytics)
        if has_ended:
            self.forget()

    def forget(self) -> None:
        """Keep nothing in memory."""
        self._room.forget(self._folder / _SAVED)  # first: what answers next is what was saved last
        analytics, self._analytics = self._analytics, None
        if analytics is not None:
            self._room.release(analytics)

    def _save(self, analytics: Analytics) -> None:
        began = time.monotonic()
        try:
            _write(self._folder / _SAVED, analytics.saved())
            (self._folder / _PARTIAL).unlink(missing_ok=True)
            self._is_partial = False
        except OSError as error:
            _log.warning("figures in %s are not saved (%s): tried again later", self._folder, error.strerror)
        self._saved_at = time.monotonic()
        self._save_took = self._saved_at - began

    def _rebuild(
        self, analytics: Analytics, spool: Spool, network: Network, source: Source, stop: threading.Event
    ) -> bool:
        """Count up to the spool's last ledger; False where that cannot be, and they begin behind it."""
        path = self._folder / _SAVED
        if not spool.last:
            return True
        try:
            analytics.restore(path.read_bytes())
        except (OSError, SourceError) as error:
            _log.warning("figures begin behind ledger %d: %s cannot be read (%s)", spool.last, path, error)
            return False
        behind = analytics.last
        if behind >= spool.last:
            return True
        partial = self._partial()
        self._is_partial = partial > behind
        try:
            if not self._is_partial and self._count_spooled(analytics, spool, behind):
                return True
            due = spool.coverage() & LedgerSet([LedgerRange(behind + 1, spool.last)])
            self._count_decoded(analytics, due - spool.left_out, network, source, stop)
        except (Unavailable, Stopped):
            raise
        except StellarrowError as error:
            _log.warning("figures begin behind ledger %d: %s", spool.last, error)
            return False
        return True

    def _partial(self) -> int:
        try:
            return int((self._folder / _PARTIAL).read_text())
        except (OSError, ValueError):
            return 0

    def _count_spooled(self, analytics: Analytics, spool: Spool, behind: int) -> bool:
        """Count what the spool has behind a ledger; False, and nothing, where some of it is gone."""
        reader = f"figures {self._folder.name} {id(self):x}"
        spool.register(reader, after=behind)
        try:
            pieces = {name: list(spool.read(kept, after=behind)) for name, kept in self.tables.items()}
        except LedgerMissing:
            return False
        finally:
            spool.forget(reader)
        closed_at = 0
        for name, parts in pieces.items():
            for part in (one for one in parts if one.rows.num_rows):
                closed = part.rows["closed_at"][-1].value // 1_000_000
                closed_at = max(closed, closed_at)
                analytics.add({name: part.rows}, LedgerRange(part.first, part.last), closed)
        nothing = {name: no_rows(schema(kept)) for name, kept in self.tables.items()}
        analytics.add(nothing, LedgerRange(spool.last, spool.last), closed_at)
        return True

    def _count_decoded(
        self, analytics: Analytics, due: LedgerSet, network: Network, source: Source, stop: threading.Event
    ) -> None:
        """Count ledgers that the source has to give again."""
        decoder = Decoder([*self.tables.values()], network=network, keeps_counted=True)
        for part in due:
            for chunk in source.read(part):
                if stop.is_set():
                    raise Stopped("asked to stop while figures are counted again")
                analytics.count(decoder(chunk))
        if due and analytics.last < due.last:
            raise LedgerMissing(f"the source ends before ledger {due.last}")


def _restored(path: Path) -> Analytics | None:
    made = Analytics()
    try:
        made.restore(path.read_bytes())
    except (OSError, SourceError):
        return None
    return made


def _write(path: Path, data: bytes) -> None:
    with written_aside(path) as aside, private_file(aside, "xb", buffering=0) as file:
        write_all(file, data)
