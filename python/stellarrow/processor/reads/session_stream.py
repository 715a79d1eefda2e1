"""What a reader is sent out of the sessions' spools."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from stellarrow.errors import ConfigError, Damaged, LedgerMissing, SinkError, StellarrowError, UnknownSession
from stellarrow.processor.kept_readers import in_spools
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.batching import Cutter, Sent, Stream, gathered
from stellarrow.processor.reads.cursor import Place, cursor_of
from stellarrow.processor.reads.places import placed
from stellarrow.processor.reads.projection import picker
from stellarrow.processor.reads.request import LATEST, PLACE, Command
from stellarrow.processor.reads.versions import converter
from stellarrow.processor.session_worker import SessionWorker
from stellarrow.spool.spool import Spool
from stellarrow.telemetry import tracing

_POLL_SECONDS: Final = 1.0  # seconds between looks whether a reader that waits is still there


def of_sessions(
    processor: Processor,
    command: Command,
    *,
    cancelled: Callable[[], bool],
    reader: str = "reader",
    owner: str = "",
) -> Stream:
    """Return what the sessions keep, each batch with its token, then follow them until all have ended.

    Without any session yet, it waits for the first. `reader` names the client for people,
    `owner` is whose places those of a reader with a name are.
    """
    registered = SessionReader(processor, command, reader, owner)
    return _followed(registered, processor, follow=command.follow, cancelled=cancelled)


def _followed(
    reader: SessionReader, processor: Processor, *, follow: bool, cancelled: Callable[[], bool]
) -> Stream:
    try:
        reader.begin()
        while not (cancelled() or processor.draining.is_set()):
            works = reader.works()
            over = bool(works) and all(work.session.status.is_final for work in works)
            for work in works:
                yield from reader.take(work)
                if processor.draining.is_set():
                    return
            if over or not follow:
                reader.tell_lost()
                return
            reader.wait()
    finally:
        reader.close()


@dataclass(slots=True)
class _Taken:
    """A session's spool, the table's name in it, and how far it is read."""

    spool: Spool
    name: str
    cutter: Cutter


class SessionReader:
    """One client's way through the spools, registered with each, so that nothing it needs is removed."""

    def __init__(self, processor: Processor, command: Command, name: str, owner: str = "") -> None:
        kept = processor.options.kept
        if command.table not in kept and not any(
            command.table in one.kept_tables for one in processor.works()
        ):
            raise ConfigError(
                f"sessions do not keep {command.table}: name start_ledger, and it is decoded for you, or"
                f" choose among {', '.join(kept)}"
            )
        # Of sessions that began while a reader with a name was away, it is to have all.
        self._unknown = Place(0) if command.origin == PLACE else None
        command = placed(processor, command, owner)
        self._owner = owner
        self._kept = command.reader
        self._id = (
            in_spools(command.reader, command.table)
            if command.reader
            else f"{name} {command.table} {uuid.uuid4().hex[:8]}"
        )
        self._processor = processor
        self._command = command
        pick, convert = picker(command, processor.tokens), converter(command.table)
        self._pick = lambda rows: pick(convert(rows))
        self._cursor = cursor_of(command)
        self._latest = command.origin == LATEST
        self._taken: dict[str, _Taken] = {}
        # Who had nothing of a session misses nothing of it: it was forgotten as it never kept any.
        if lost := processor.missing(name for name, place in self._cursor.places.items() if place.after):
            raise UnknownSession(
                f"the resume token is of session {min(lost)}, which is no longer here: read from earliest"
            )

    def begin(self) -> None:
        """Register with every spool there is."""
        for work in self.works():
            self._attach(work)
        self._latest = False  # of sessions that begin from now on, all is new
        if self._kept:
            self._keep_place()

    def _keep_place(self) -> None:
        readers, table = self._processor.readers, self._command.table
        try:
            readers.put(self._kept, table, self._cursor.token(), owner=self._owner)
        except StellarrowError:
            if not any((one.name, one.table) == (self._kept, table) for one in readers.every()):
                for taken in self._taken.values():  # nobody would ever acknowledge it
                    taken.spool.forget(self._id)
            raise

    def works(self) -> list[SessionWorker]:
        return [work for work in self._processor.works() if self._command.table in work.kept_tables]

    def take(self, work: SessionWorker) -> Iterator[tuple[Sent, str]]:
        """Yield what a session has kept since the last time."""
        taken = self._attach(work)
        if taken is None:
            return
        pieces = taken.spool.read(taken.name, after=taken.cutter.place.after)
        for run in gathered(pieces, work.session.batch_size):
            for sent in taken.cutter.cut(run[0].first, run[-1].last, [piece.rows for piece in run]):
                yield self._with_token(work, sent)
                self._took(taken, sent.place.after)
                if sent.complete and self._processor.draining.is_set():
                    return
            self._took(taken, run[-1].last)
        for sent in taken.cutter.rest():
            yield self._with_token(work, sent)

    def _took(self, taken: _Taken, ledger: int) -> None:
        """Let the spool know what is sent; one that has a name says itself what it has."""
        if not self._kept:
            taken.spool.register(self._id, after=ledger)

    def wait(self) -> None:
        """Return when there may be more, or it is time to look whether the client is still there."""
        with self._processor.changed:
            self._processor.changed.wait_for(self._has_more, _POLL_SECONDS)

    def tell_lost(self) -> None:
        """Fail where a session kept more than can be read now: what was sent is not all."""
        for work in self._processor.works():
            place = self._cursor.places.get(work.session.id)
            if work.session.damage:
                raise Damaged(f"session {work.session.id}: {work.session.damage}")
            if self._command.table not in work.kept_tables:
                continue
            if work.lost and not (place and place.after >= work.session.current):
                raise SinkError(f"session {work.session.id}: {work.lost}")
        for answer in self._processor.forgotten:
            raise Damaged(answer)

    def close(self) -> None:
        for taken in self._taken.values() if not self._kept else ():
            taken.spool.forget(self._id)

    def _has_more(self) -> bool:
        works = self.works()
        return (
            self._processor.draining.is_set()
            or any(work.spool and work.session.id not in self._taken for work in works)
            or any(taken.spool.last > taken.cutter.place.after for taken in self._taken.values())
            or (bool(works) and all(work.session.status.is_final for work in works))
        )

    def _with_token(self, work: SessionWorker, sent: Sent) -> tuple[Sent, str]:
        self._cursor.places[work.session.id] = sent.place
        return (
            replace(
                sent,
                session=work.session.id,
                network=work.session.network,
                traces=work.trail.of(sent.first, sent.last) if tracing.is_on() else {},
            ),
            self._cursor.token(),
        )

    def _attach(self, work: SessionWorker) -> _Taken | None:
        if work.session.id in self._taken:
            return self._taken[work.session.id]
        place = self._cursor.places.get(work.session.id, self._unknown)
        if work.spool is None:
            if place and place.after < work.session.current and not work.lost:
                raise LedgerMissing(
                    f"session {work.session.id} keeps nothing any more: ask for a range, it is decoded anew"
                )
            return None
        if self._latest:
            place = Place(work.spool.last)
        after = place.after if place else None
        behind = work.spool.register(self._id, after=after, is_named=bool(self._kept))
        cutter = Cutter(work.session.batch_size, place or Place(behind), self._pick)
        self._cursor.places[work.session.id] = cutter.place
        taken = _Taken(work.spool, work.kept_tables[self._command.table], cutter)
        self._taken[work.session.id] = taken
        return taken
