"""A session's output on disk, from which any number of readers take at their own pace.

A spool is a sink: what is committed survives a crash, each ledger once. `<folder>/<first ledger>/` are its
segments (segment.py), `<folder>/spool.json` says what they were made from (metadata.py).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import between
from stellarrow.core.tables import schema, table
from stellarrow.errors import ConfigError, Damaged, LedgerMissing, Stopped
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.spool.metadata import Facts
from stellarrow.spool.opening import open_segments
from stellarrow.spool.os_errors import translate_os_errors
from stellarrow.spool.retention import Readers, Retention
from stellarrow.spool.segment import Segment
from stellarrow.storage.paths import local_path

_POLL_SECONDS: Final = 0.2  # seconds between looks whether to stop waiting
_SHARE: Final = 8  # of what is kept, in bytes and seconds, a segment has at most about an eighth
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of consecutive ledgers, as they were written."""

    first: int
    last: int
    rows: pa.RecordBatch


class Spool:
    """Write batches once, in ledger order; read them often."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        tables: Sequence[str],
        *,
        network: str | Network,
        retention: Retention | None = None,
        segment_bytes: int = 64 << 20,
        changed: threading.Condition | None = None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.time,
        committed: int = 0,
        columns: Mapping[str, pa.Schema] | None = None,
    ) -> None:
        """Open or begin a spool; `changed` is told of every commit, `stop` ends a wait for room.

        `committed` is the last ledger known to be committed, else Damaged; `columns` are of tables that grew.
        """
        if not tables:
            raise ConfigError("the spool has no table: name at least one")
        self._folder = local_path(folder)
        self._schemas = {name: (columns or {}).get(name) or schema(name) for name in tables}
        self._retention = retention or Retention()
        self._segment_bytes = min(segment_bytes, self._retention.size_bytes // _SHARE)
        self._clock = clock
        self._changed = changed or threading.Condition()
        self._stop = stop or threading.Event()
        self._writing = threading.RLock()  # whoever adds or removes segments
        self._room = threading.Condition()  # of readers, and of what may be removed
        self._readers = Readers()
        self._closed = False
        self.damage = ""  # the first that a reader met
        self.before_commit: Callable[[], None] = lambda: None
        made_from = {
            "tables": [str(table(name)) for name in tables],
            "network": Network.of(network).passphrase,
        }
        with translate_os_errors(self._folder):
            self._facts = Facts.agreed(self._folder, made_from)
            opened = open_segments(self._folder, self._facts, self._schemas, committed=committed)
            self._segments = tuple(opened)
            self._note_sealed()
        self._covered = LedgerSet(LedgerRange(one.first, one.last) for one in self._segments)
        self._covered |= self._facts.gone

    def _note_sealed(self) -> None:
        """Write down which segments are complete, where an older version did not."""
        if self._facts.sealed is None:
            sealed = {one.first: one.last for one in self._segments[:-1]}
            with suppress(OSError):  # without room, the next start does it
                self._note(replace(self._facts, sealed=sealed))

    def write(self, batch: LedgerBatch) -> None:
        """Append what is not covered; wait while the spool is full of what its readers need."""
        with self._writing:
            self._await_room()
            newest = self._segments[-1:]
            known = self.coverage() | LedgerSet(LedgerRange(one.first, one.last) for one in newest)
            with translate_os_errors(self._folder, self._rollback):
                for part in LedgerSet([LedgerRange(batch.first, batch.last)]) - known:
                    rows = {name: _of(batch, name, part) for name in self._schemas}
                    now = int(self._clock() * 1000)
                    self._writable(part.first).append(rows, part.first, part.end, now=now)

    def commit(self) -> None:
        with self._writing:
            self.before_commit()
            with translate_os_errors(self._folder, self._rollback):
                for segment in self._segments[-1:]:
                    segment.commit()
                    with self._changed:
                        self._covered |= LedgerSet([LedgerRange(segment.first, segment.last)])
                        self._changed.notify_all()
            self.trim()

    def leave_out(self, ledgers: LedgerRange) -> None:
        """Note, once what came before is durable, that these never will be."""
        with self._writing:
            self.commit()
            with translate_os_errors(self._folder), self._room:
                self._note(replace(self._facts, left_out=self.left_out | LedgerSet([ledgers])))

    @property
    def left_out(self) -> LedgerSet:
        return self._facts.left_out

    def coverage(self) -> LedgerSet:
        """Return what need not be written: what is kept, what was, and what was left out."""
        return self._covered | self.left_out

    @property
    def kept(self) -> LedgerSet:
        """The ledgers that are committed and can be read."""
        return self._covered - self._facts.gone - self.left_out

    def close(self) -> None:
        self._closed = True
        for condition in (self._changed, self._room):
            with condition:
                condition.notify_all()
        for segment in self._segments:
            segment.close()

    def rest(self) -> None:
        """Keep no file open until something is written again; readers read on."""
        with self._writing:
            for segment in self._segments:
                segment.close()

    @property
    def last(self) -> int:
        """The last ledger committed, 0 before the first."""
        return self._covered.last if self._covered else 0

    @property
    def gone(self) -> int:
        """The last ledger that is kept no more, 0 where all is."""
        return self._facts.gone.last if self._facts.gone else 0

    @property
    def size_bytes(self) -> int:
        """What it takes on disk."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def is_full(self) -> bool:
        """Tell whether a writer has to wait for a reader."""
        with self._room:
            oldest = self._oldest()
            return self._is_over() and oldest is not None and self._is_needed(oldest)

    def read(self, name: str, *, after: int) -> Iterator[Piece]:
        """Yield what is committed of a table behind a ledger, in ledger order, then end.

        What retention has removed is LedgerMissing.
        """
        segments = self._segments  # before the look at what is gone: what goes in between is then missed
        gone = self._facts.gone
        if gone and gone.last > after:
            raise LedgerMissing(
                f"the spool keeps nothing up to ledger {gone.last} any more: start after it, or ask for a"
                " bounded range, which is decoded anew"
            )
        for segment in sorted((one for one in segments if one.entries), key=attrgetter("first")):
            try:
                for entry, rows in segment.read(name, after=after):
                    whole = entry.first > after
                    yield Piece(
                        max(entry.first, after + 1), entry.last, rows if whole else _behind(rows, after)
                    )
            except Damaged as error:
                self._note_damage(error)
                raise
            except FileNotFoundError as error:  # trimmed before it was read
                raise LedgerMissing(
                    f"ledger {max(segment.first, after + 1)} was removed from the spool before it was read:"
                    " ask for a bounded range, which is decoded anew, or start after it"
                ) from error

    def _note_damage(self, error: Damaged) -> None:
        if not self.damage:
            _log.error("%s", error)
        self.damage = self.damage or str(error)

    def register(self, reader: str, *, after: int | None = None, is_named: bool = False) -> int:
        """Keep everything behind a ledger until this reader registers a later one or is forgotten.

        Without a ledger it is all that is kept; the ledger behind which that begins is returned.
        """
        with self._room:
            behind = after if after is not None else self.gone
            self._readers.register(reader, behind, is_named=is_named)
            self._room.notify_all()
            return behind

    def forget(self, reader: str) -> None:
        with self._room:
            self._readers.forget(reader)
            self._room.notify_all()

    @property
    def readers(self) -> dict[str, int]:
        """The registered readers, each with the ledger behind which it reads."""
        with self._room:
            return self._readers.behind()

    def trim(self) -> None:
        """Remove the oldest segments where there are too many or they are too old, but for what readers need.

        Any thread may call; while another one writes nothing is done, as that one trims.
        """
        if self._closed or not self._writing.acquire(blocking=False):
            return
        try:
            while self._remove_oldest():
                pass
        finally:
            self._writing.release()

    def _remove_oldest(self) -> bool:
        """Remove the oldest segment if it may go, and tell whether it did."""
        with translate_os_errors(self._folder), self._room:
            oldest = self._oldest()
            if oldest is None or oldest.is_pending or self._is_needed(oldest):
                return False
            is_too_much = self._is_over() and oldest is not self._segments[-1]
            if not (is_too_much or self._is_stale(oldest.entries[-1].written_at)):
                return False
            # Noted before it is done: a crash in between leaves files, never a ledger asked for again.
            gone = self._facts.gone | LedgerSet([LedgerRange(oldest.first, oldest.last)])
            self._note(replace(self._facts, gone=gone, sealed=self._sealed(but=oldest)))
            self._segments = tuple(one for one in self._segments if one is not oldest)
            oldest.remove()
            return True

    def _is_over(self) -> bool:
        return self.size_bytes >= self._retention.size_bytes

    def _is_stale(self, written_at: int, *, share: int = 1) -> bool:
        return self._retention.is_stale(written_at, self._clock(), share=share)

    def _oldest(self) -> Segment | None:
        """Return the segment with the lowest ledgers of those that have a commit."""
        return min((one for one in self._segments if one.entries), key=attrgetter("first"), default=None)

    def _is_needed(self, segment: Segment) -> bool:
        """Tell whether a reader has not taken all that is committed of it."""
        return self._readers.need(segment.entries[-1].last)

    def _await_room(self) -> None:
        self.trim()
        if self.is_full:
            self.commit()  # readers make room, but only by what they can see
        began = time.monotonic()
        with self._room:
            while self.is_full and not (self._closed or self._stop.is_set()):
                self._lose_patience(began)
                self._room.wait(_POLL_SECONDS)
                self.trim()
            if self._closed or self.is_full:
                raise Stopped("the spool was full of what its readers need, and is asked to stop")

    def _lose_patience(self, began: float) -> None:
        """Wait no longer for who needs the oldest but has taken nothing for too long in this wait."""
        oldest = self._oldest()
        if oldest is not None:
            self._readers.lose_patience(self._retention, oldest.last, began=began)

    def _writable(self, first: int) -> Segment:
        """Return the segment to append to: a new one after a gap, or when the last is large or old enough.

        What was left out is no gap: it will not be written.
        """
        last = self._segments[-1] if self._segments else None
        if last and self._goes_on(last.last + 1, first) and not self._is_done(last):
            return last
        if last:
            self.commit()
            if last in self._segments:  # else it was too old
                last.cut()
                self._note(replace(self._facts, sealed=self._sealed() | {last.first: last.last}))
        made = Segment.create(self._folder / f"{first:010d}", self._schemas)
        self._segments += (made,)
        return made

    def _is_done(self, segment: Segment) -> bool:
        is_full = segment.size_bytes >= self._segment_bytes
        return segment.first in self._sealed() or is_full or self._is_stale(segment.written_at, share=_SHARE)

    def _goes_on(self, due: int, first: int) -> bool:
        if due == first:
            return True
        return due < first and not LedgerSet([LedgerRange(due, first - 1)]) - self.left_out

    def _note(self, facts: Facts) -> None:
        facts.write(self._folder)
        self._facts = facts

    def _rollback(self) -> None:
        for segment in self._segments[-1:]:
            if segment.entries:
                segment.rollback()
            else:
                segment.remove()
                self._segments = self._segments[:-1]

    def _sealed(self, *, but: Segment | None = None) -> dict[int, int]:
        """Return the first and last ledger of each complete segment."""
        sealed = self._facts.sealed or {}
        return {first: last for first, last in sealed.items() if but is None or first != but.first}


def _behind(rows: pa.RecordBatch, after: int) -> pa.RecordBatch:
    return between(rows, LedgerRange(after + 1))


def _of(batch: LedgerBatch, name: str, part: LedgerRange) -> pa.RecordBatch:
    """Return a table's rows of a part of a batch."""
    rows = batch.tables[name]
    return rows if (part.first, part.end) == (batch.first, batch.last) else between(rows, part)
