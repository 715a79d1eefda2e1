"""Aggregates instead of rows: of a range, of what sessions keep, or of windows as they end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError, Stopped, Unavailable
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.batching import Sent, Stream
from stellarrow.processor.reads.cursor import Cursor, Place, cursor_of
from stellarrow.processor.reads.range_stream import decoded_range, of_range
from stellarrow.processor.reads.request import EARLIEST, Asked, Command
from stellarrow.processor.reads.result_cache import Answer, Key
from stellarrow.processor.reads.session_stream import SessionReader, of_sessions
from stellarrow.processor.session_worker import SessionWorker
from stellarrow.sql import windows
from stellarrow.sql.aggregator import Aggregator
from stellarrow.sql.groups import Limits

_MESSAGE_BYTES: Final = 3 << 20
_GROUPS: Final = 1_000_000
_LEDGER: Final = "ledger_sequence"


def of_aggregate(
    processor: Processor, command: Command, *, cancelled: Callable[[], bool], reader: str = "reader"
) -> Stream:
    """Return an aggregate, in batches with tokens: whole, or window by window where it follows the chain.

    Each session's is its own, as the ledgers of two may be the same.
    """
    assert command.aggregate  # noqa: S101  for the type checker
    asking = _Asking(processor, command, command.aggregate, cancelled, reader)
    cursor_of(command)  # a wrong token shows now
    if command.follow and not (command.ledgers and command.ledgers.last):
        return asking.following()
    return asking.of_range() if command.ledgers else asking.of_sessions()


@dataclass(frozen=True, slots=True)
class _Asking:
    """A client's question."""

    processor: Processor
    command: Command
    asked: Asked
    cancelled: Callable[[], bool]
    reader: str

    @property
    def rows(self) -> Command:
        """The command for the rows that are aggregated."""
        return replace(self.command, aggregate=None, origin=EARLIEST, follow=False)

    def aggregator(self) -> Aggregator:
        limits = Limits(_GROUPS, self.processor.options.share_mb << 20)
        return Aggregator(self.asked.meant, self.asked.window, limits=limits, in_order=True)

    def key(self, ledgers: LedgerSet, *, network: str, session: str = "") -> Key:
        asked = self.asked
        return Key(
            table=self.command.table,
            network=network,
            ledgers=str(ledgers),
            where=str(self.command.where),
            decoded=self.command.decoded,
            expression=asked.meant.text,
            window=asked.window,
            session=session,
        )

    def of_range(self) -> Stream:
        """Answer a range: one without an end goes as far as the source does now."""
        ledgers = self._bounded()
        cursor = cursor_of(self.command)
        if ledgers is None:
            return
        network = self.processor.options.network
        if network:
            key = self.key(LedgerSet([ledgers]), network=network.passphrase)
            answer = self.processor.results.answer(key, lambda: self._computed(ledgers), check=self._check)
        else:  # which an answer would have to be kept by
            answer = self._computed(ledgers)
        for sent in self._batches(answer, cursor.places.get("")):
            cursor.places[""] = sent.place
            yield replace(sent, network=network.passphrase if network else ""), cursor.token()

    def _bounded(self) -> LedgerRange | None:
        ledgers = self.command.ledgers
        if ledgers is None or ledgers.last is not None:
            return ledgers
        with closing(self.processor.open_source()) as source:
            last = source.available().last
        return LedgerRange(ledgers.first, last) if last >= ledgers.first else None

    def _computed(self, ledgers: LedgerRange) -> Answer:
        aggregator = self.aggregator()
        covered = LedgerSet()
        command = replace(self.rows, ledgers=ledgers)
        name = f"{self.reader} {self.asked.name}"
        for batch in decoded_range(self.processor, command, cancelled=self.cancelled, reader=name):
            aggregator.add(batch.tables[self.command.table])
            covered |= LedgerSet([LedgerRange(batch.first, batch.last)])
        return Answer(aggregator.answer(), covered)

    def of_sessions(self) -> Stream:
        """Answer what each session keeps."""
        cursor = cursor_of(self.command)
        reader = SessionReader(self.processor, self.rows, f"{self.reader} {self.asked.name}")
        try:
            reader.begin()
            for work in reader.works():
                if (answer := self._of_session(reader, work)) is None:
                    continue
                for sent in self._batches(answer, cursor.places.get(work.session.id)):
                    cursor.places[work.session.id] = sent.place
                    named = replace(sent, session=work.session.id, network=work.session.network)
                    yield named, cursor.token()
            reader.tell_lost()
        finally:
            reader.close()

    def _of_session(self, reader: SessionReader, work: SessionWorker) -> Answer | None:
        """Answer what one session keeps now; None where that is nothing."""
        if work.spool is None or not (kept := work.spool.kept):
            return None
        key = self.key(kept, network=work.session.network, session=work.session.id)
        return self.processor.results.answer(key, lambda: self._taken(reader, work, kept), check=self._check)

    def _taken(self, reader: SessionReader, work: SessionWorker, kept: LedgerSet) -> Answer:
        aggregator = self.aggregator()
        covered = LedgerSet()
        for sent, _ in reader.take(work):
            self._check()
            if sent.first > kept.last:
                break
            rows = sent.rows
            if sent.last > kept.last:  # committed since
                rows = rows.filter(pc.less_equal(rows.column(_LEDGER), kept.last))
            aggregator.add(rows)
            covered |= LedgerSet([LedgerRange(sent.first, sent.last)])
        self._check()
        return Answer(aggregator.answer(), covered & kept)

    def _gives_up(self) -> bool:
        return self.cancelled() or self.processor.draining.is_set()

    def _check(self) -> None:
        """Raise where there is nobody to answer any more, or no time to do it."""
        if self.cancelled():
            raise Stopped("the reader has gone")
        if self.processor.draining.is_set():
            raise Unavailable("the processor is shutting down: ask again when it is back")

    def _batches(self, answer: Answer, place: Place | None) -> Iterator[Sent]:
        """Cut an answer into batches that fit into a message; a token tells how many rows were sent."""
        first, last = answer.ledgers.first, answer.ledgers.last
        if place and place.after != last:
            raise ConfigError("the resume token is of fewer ledgers than there are now: read from earliest")
        at = place.row if place else 0
        for batch in _cut(answer.rows.slice(at)):
            at += batch.num_rows
            yield Sent(batch, first, last, at == len(answer.rows), Place(last, at))

    def following(self) -> Stream:
        """Answer window by window, each once a row of a later one has come."""
        cursor = cursor_of(self.command)
        rows = replace(self.command, aggregate=None)
        if cursor.places:
            # The rows of windows that were sent in part are read again.
            begun = {session: Place(place.after) for session, place in cursor.places.items()}
            rows = replace(rows, origin=Cursor(rows.shape, begun).token())
        of_rows = of_range if rows.ledgers else of_sessions
        stream = of_rows(self.processor, rows, cancelled=self.cancelled, reader=self.reader)
        opened: dict[str, _Open] = {}
        with closing(stream):
            for sent, _ in stream:
                if sent.session not in opened:
                    place = cursor.places.get(sent.session)
                    opened[sent.session] = _Open(self.aggregator(), self.asked.window, sent, place)
                for ended in opened[sent.session].take(sent):
                    cursor.places[sent.session] = ended.place
                    yield ended, cursor.token()
        if self._gives_up():
            return  # what is open is read again from the last token
        for session, one in opened.items():
            for ended in one.rest():
                cursor.places[session] = ended.place
                yield ended, cursor.token()


class _Open:
    """The window that a session's rows, or a range's, have come to."""

    def __init__(self, aggregator: Aggregator, window: str, sent: Sent, place: Place | None) -> None:
        self._aggregator = aggregator
        self._window = window
        self._sent = sent
        self._begin: datetime | None = None
        self._after = place.after if place else sent.first - 1
        self._skipped = place.row if place else 0  # rows of windows behind `after` that were sent before

    def take(self, sent: Sent) -> Iterator[Sent]:
        """Take rows; yield the windows that ended before the last of them, where one has."""
        self._sent = sent
        self._aggregator.add(sent.rows)
        if not sent.rows.num_rows:
            return
        begins = windows.window_of(sent.rows.column(windows.CLOSED_AT), self._window)
        newest = pc.max(begins)
        before, self._begin = self._begin or pc.min(begins).as_py(), newest.as_py()
        if self._begin > before:
            first_open = sent.rows.filter(pc.equal(begins, newest)).column(_LEDGER)[0].as_py()
            yield from self._ended(self._aggregator.take_before(self._begin), first_open - 1)

    def rest(self) -> Iterator[Sent]:
        """Yield the window that is open, where no more rows can come."""
        yield from self._ended(self._aggregator.answer(), self._sent.last)

    def _ended(self, table: pa.Table, last: int) -> Iterator[Sent]:
        """Yield windows in batches: a token of any but the last of them says how many rows were sent."""
        at, self._skipped = self._skipped, max(0, self._skipped - len(table))
        for batch in _cut(table.slice(at)):
            at += batch.num_rows
            is_last = at >= len(table)
            place = Place(last) if is_last else Place(self._after, at)
            yield replace(
                self._sent, rows=batch, first=self._after + 1, last=last, complete=is_last, place=place
            )
        self._after = last


def _cut(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Cut rows into batches that fit into a message."""
    if len(rows):
        size = max(1, _MESSAGE_BYTES * len(rows) // max(rows.nbytes, 1))
        yield from rows.combine_chunks().to_batches(max_chunksize=size)
