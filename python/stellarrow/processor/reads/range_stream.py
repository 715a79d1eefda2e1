"""Ledgers decoded for one reader, on demand, with its filter pushed down to the walk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from queue import Empty, Full, Queue
from typing import Final

from stellarrow.core.decode import Decoder
from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import is_typed
from stellarrow.errors import ConfigError, StellarrowError, Stopped, Unavailable
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.pipeline import loop
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.batching import Cutter, Sent, Stream
from stellarrow.processor.reads.cursor import Cursor, Place, cursor_of
from stellarrow.processor.reads.projection import selector
from stellarrow.processor.reads.range_slots import RangeSlot
from stellarrow.processor.reads.request import Command
from stellarrow.processor.session_decoder import agreed_network
from stellarrow.processor.session_sink import Trail
from stellarrow.protocols import Source

_POLL_SECONDS: Final = 0.25  # seconds between looks whether the reader is still there
_AHEAD: Final = 2  # batches of ledgers decoded before the reader wants them, beside those in the pipeline
_ENDPOINTS: Final = 8
_LEDGERS: Final = 64  # of an endpoint, at least
_log: Final = logging.getLogger(__name__)


def endpoints(command: Command) -> list[Command]:
    """Split what is left of a bounded range into parts that readers may take in parallel."""
    ledgers = command.ledgers
    if ledgers is None or ledgers.last is None or command.aggregate:
        return [command]
    place = _place(command, cursor_of(command))
    first = place.after + 1
    count = ledgers.last - first + 1
    parts = min(_ENDPOINTS, count // _LEDGERS)
    if parts < 2:
        return [command]
    ends = [first + count * part // parts for part in range(parts + 1)]
    # Each part begins where a token of the whole says: so its own tokens are such, too.
    places = [place, *(Place(end - 1) for end in ends[1:-1])]
    return [
        replace(
            command,
            ledgers=LedgerRange(ledgers.first, end - 1),
            origin=Cursor(command.shape, {"": one}).token(),
        )
        for one, end in zip(places, ends[1:], strict=True)
    ]


def _place(command: Command, cursor: Cursor) -> Place:
    """Return the place a range is read from."""
    if command.ledgers is None:
        raise ConfigError("the command has no range: name start_ledger")
    place = cursor.places.get("", Place(command.ledgers.first - 1))
    if place.after + 1 < command.ledgers.first or place.after > command.ledgers.end:
        raise ConfigError("the resume token is of another range: send the same range as then")
    return place


def of_range(
    processor: Processor, command: Command, *, cancelled: Callable[[], bool], reader: str = "reader"
) -> Stream:
    """Return the rows of a range, each batch with its token; an open range follows the chain.

    `reader` names the client for people.
    """
    cursor = cursor_of(command)
    place = _place(command, cursor)
    cutter = Cutter(processor.options.batch_size, place, selector(command, processor.tokens))
    decoding = _Decoding(processor, command, behind=place.after)
    return _with_tokens(cursor, _sent(processor, decoding, cutter, cancelled, f"{reader} {command.table}"))


def decoded_range(
    processor: Processor, command: Command, *, cancelled: Callable[[], bool], reader: str = "reader"
) -> Iterator[LedgerBatch]:
    """Yield the batches of a bounded range whole, in order and without a gap.

    Stopped where the reader has gone, Unavailable where the processor shuts down before the end.
    """
    place = _place(command, Cursor(command.shape))
    decoding = _Decoding(processor, command, behind=place.after)

    def gives_up() -> bool:
        return cancelled() or processor.draining.is_set()

    name = f"{reader} {command.table}"
    with closing(decoding), processor.ranges.slot(name, close=decoding.close, gives_up=gives_up):
        decoding.start()
        while not gives_up():
            with suppress(Empty):
                batch = decoding.next(_POLL_SECONDS)
                if batch is None:
                    return
                yield batch
    if cancelled():
        raise Stopped("the reader has gone")
    raise Unavailable("the processor is shutting down: ask again when it is back")


def _with_tokens(cursor: Cursor, sent: Iterator[Sent]) -> Stream:
    for one in sent:
        cursor.places[""] = one.place
        yield one, cursor.token()


def _sent(
    processor: Processor, decoding: _Decoding, cutter: Cutter, cancelled: Callable[[], bool], name: str
) -> Iterator[Sent]:
    def gives_up() -> bool:
        return cancelled() or processor.draining.is_set()

    with closing(decoding), processor.ranges.slot(name, close=decoding.close, gives_up=gives_up) as slot:
        decoding.start()
        while not cancelled():
            try:
                batch = decoding.next(_POLL_SECONDS)
            except Empty:
                yield from _handed(slot, cutter.rest())
                if processor.draining.is_set():
                    return
                continue
            if batch is None:
                yield from _handed(slot, cutter.rest())
                return
            for sent in _handed(slot, cutter.cut(batch.first, batch.last, [batch.tables[decoding.table]])):
                yield replace(sent, network=decoding.network, traces=decoding.trail.of(sent.first, sent.last))
                if sent.complete and processor.draining.is_set():
                    return
            if processor.draining.is_set():
                return


def _handed(slot: RangeSlot, sent: Iterable[Sent]) -> Iterator[Sent]:
    """Pass on what is sent, and let the slot know when it is taken."""
    for one in sent:
        slot.hand()
        yield one
        slot.took()


class _Decoding:
    """A pipeline in a thread; what it makes waits here for the reader."""

    def __init__(self, processor: Processor, command: Command, *, behind: int) -> None:
        assert command.ledgers is not None  # noqa: S101  for the type checker
        self.table = command.table
        self._processor = processor
        self._command = command
        self._ledgers = (
            LedgerRange(behind + 1, command.ledgers.last) if behind < command.ledgers.end else None
        )
        self._made: Queue[LedgerBatch | StellarrowError | None] = Queue(_AHEAD)
        self._stop = threading.Event()
        self._source: Source | None = None
        self.network = ""
        self.trail = Trail()
        self._decoder(processor.options.network or Network.of("pubnet"))  # a bad filter shows now
        self._thread = threading.Thread(target=self._run, name="stellarrow-range", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def next(self, timeout: float) -> LedgerBatch | None:
        """Return the next batch, None at the end, or raise: Empty where it takes longer."""
        made = self._made.get(timeout=timeout)
        if isinstance(made, StellarrowError):
            raise made
        return made

    def close(self) -> None:
        self._stop.set()
        if self._source:
            self._source.close()
        with suppress(Empty):
            while True:  # a reader that takes nothing keeps nothing in memory
                self._made.get_nowait()

    def write(self, batch: LedgerBatch) -> None:
        self.trail.add(batch)
        self._hand(batch)

    def commit(self) -> None:
        """Do nothing: what the reader was sent is its own."""

    def coverage(self) -> LedgerSet:
        return LedgerSet()

    def _run(self) -> None:
        try:
            self._extract()
            self._hand(None)
        except Stopped:
            return
        except StellarrowError as error:
            self._hand_error(error)
        except Exception as error:
            _log.exception("unexpected error in a range")
            self._hand_error(StellarrowError(f"unexpected: {error!r}; the log has more"))

    def _extract(self) -> None:
        with closing(self._processor.open_source()) as source:
            self._source = source
            ledgers = self._ledgers
            if ledgers and ledgers.last is None and not self._command.follow:
                last = source.available().last
                ledgers = LedgerRange(ledgers.first, last) if last >= ledgers.first else None
            if ledgers is None or self._stop.is_set():
                return
            network = agreed_network(source, self._processor.options.network)
            self.network = network.passphrase
            decoder, feeding = self._following(source, network)
            loop.run(
                feeding,
                tables=[self.table],
                sinks=[self],
                options=self._options(network),
                limits=loop.Limits(self._processor.options.workers, self._processor.options.share_mb),
                ledgers=ledgers,
                decoder=decoder,
                stop=self._stop,
            )

    def _following(
        self, source: Source, network: Network
    ) -> tuple[Callable[[LedgerChunk], LedgerBatch], Source]:
        """Return what decodes, and the source to decode: of a contract's table, as its code changes."""
        typed, slots = self._processor.options.typed, self._processor.slots
        if typed is None or not is_typed(self.table):
            decoder = self._decoder(network)
            return (lambda chunk: slots.decode(decoder, chunk)), source
        filtered = typed.filtered(self.table, network, where=self._command.where, slots=slots)
        return filtered, filtered.feeding(source)

    def _decoder(self, network: Network) -> Decoder:
        return Decoder.of([self.table], self._options(network))

    def _options(self, network: Network) -> DecodeOptions:
        return DecodeOptions(network=network, where=self._command.where, decoded=self._command.decoded)

    def _hand(self, made: LedgerBatch | StellarrowError | None) -> None:
        while not self._stop.is_set():
            try:
                return self._made.put(made, timeout=_POLL_SECONDS)
            except Full:
                continue
        raise Stopped("the reader has gone")

    def _hand_error(self, error: StellarrowError) -> None:
        with suppress(Stopped):
            self._hand(error)
