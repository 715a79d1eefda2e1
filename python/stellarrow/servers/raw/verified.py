"""Chunks into single, sound ledgers; what is unsound is quarantined and goes no further."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from stellarrow.core.decode import Decoder
from stellarrow.core.framing import opened, plain_bytes
from stellarrow.errors import ChainBroken, LedgerMissing, LedgerUnsound, SourceError, StellarrowError
from stellarrow.ledgers import LedgerChunk, LedgerRange, Network
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.pipeline.hash_chain import unlinked
from stellarrow.pipeline.parallel import ordered
from stellarrow.pipeline.traced import fetched
from stellarrow.protocols import Refetching, Source
from stellarrow.telemetry import tracing

if TYPE_CHECKING:
    import pyarrow as pa

HEADER: Final = {  # of the table ledgers, and what it is here
    "ledger_sequence": "sequence",
    "ledger_hash": "hash",
    "previous_ledger_hash": "previous_hash",
    "closed_at": "closed_at",
    "protocol_version": "protocol_version",
    "transaction_count": "transaction_count",
}
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ledger:
    """One sound ledger: its LedgerCloseMeta, and what its header says, also as a row of the table ledgers."""

    sequence: int
    hash: str
    previous_hash: str
    closed_at: datetime
    protocol_version: int
    transaction_count: int
    xdr: bytes | pa.Buffer = field(repr=False)
    header: pa.RecordBatch = field(repr=False, compare=False)
    where: str
    trace: str = field(default="", repr=False, compare=False)  # of the chunk that begins with it


@dataclass(frozen=True, slots=True)
class _Checked:
    """What came of a chunk: the sound ledgers before the first that is not, and that one."""

    ledgers: list[Ledger]
    bad: LedgerChunk | None = None
    error: StellarrowError | None = None


class SoundLedgers:
    """Reads a source so that only what is proven comes out.

    A ledger that is not sound is read again once, then quarantined whole and raised as LedgerUnsound.
    """

    def __init__(
        self,
        source: Source,
        *,
        network: Network,
        letters: DeadLetters,
        workers: int = 2,
        took: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Read a source; `took` is told the seconds that proving a chunk took."""
        self._source = source
        self._took = took
        self._decoder = Decoder(["ledgers"], network=network)
        self._letters = letters
        self._workers = workers

    def read(
        self, ledgers: LedgerRange, *, budget: int, before: Ledger | None = None
    ) -> Iterator[list[Ledger]]:
        """Yield consecutive ledgers in groups, as they lie together.

        `budget` bounds the bytes read ahead; `before` is the ledger they must follow, where it is known.
        """
        due = ledgers.first
        suspect: int | None = None
        while due <= ledgers.end:
            begun = due
            bad: _Checked | None = None
            # A second look is at one ledger only: there may be none behind it to wait for.
            wanted = LedgerRange(due, due if suspect == due else ledgers.last)
            for checked in self._linked(wanted, budget, before):
                if checked.ledgers:
                    before = checked.ledgers[-1]
                    due = before.sequence + 1
                    yield checked.ledgers
                if checked.error:
                    bad = checked
                    break
            if bad is None:
                if wanted.last == ledgers.last or due == begun:
                    return
                continue
            if suspect == due:
                raise self._quarantine(due, bad)
            suspect = due
            _log.warning("ledger %d is not sound, reading it again: %s", due, bad.error)

    def _linked(self, ledgers: LedgerRange, budget: int, before: Ledger | None) -> Iterator[_Checked]:
        """Check what no single chunk shows: that one goes on where the other ended."""
        chunks = fetched(self._source.read(ledgers))
        due = ledgers.first
        with closing(
            ordered(chunks, self._check, workers=self._workers, budget=budget, cost=plain_bytes)
        ) as parts:
            for part in parts:
                if not part.ledgers:
                    yield part
                    continue
                first = part.ledgers[0]
                if first.sequence != due:
                    raise LedgerMissing(f"ledger {due} was due, but the source went on with {first.sequence}")
                if before and (broken := _broken(first, before)):
                    alone = LedgerChunk(first.xdr, "single", due, due, first.where)
                    yield _Checked([], alone, broken)
                    return
                before = part.ledgers[-1]
                due = before.sequence + 1
                yield part

    def _check(self, chunk: LedgerChunk) -> _Checked:
        began = time.perf_counter()
        try:
            with tracing.span("check", chunk.trace):
                found = self._proven(chunk)
                return self._fetched_again(chunk, found) if found.error else found
        finally:
            self._took(time.perf_counter() - began)

    def _fetched_again(self, chunk: LedgerChunk, found: _Checked) -> _Checked:
        """Look at the chunk as it is stored now, or elsewhere, and return the better."""
        fresh = chunk
        if isinstance(self._source, Refetching):
            with suppress(SourceError):
                fresh = self._source.refetch(chunk)
        if fresh.data == chunk.data:
            return found
        again = self._proven(fresh)
        return found if again.error else again

    def _proven(self, chunk: LedgerChunk) -> _Checked:
        try:
            return _Checked(self._ledgers(*opened(chunk)))
        except StellarrowError as error:
            whole = error
        if chunk.first == chunk.last:
            return _Checked([], chunk, whole)
        return self._check_each(chunk, whole)

    def _check_each(self, chunk: LedgerChunk, whole: StellarrowError) -> _Checked:
        """Find the first ledger that is not sound; a chunk that cannot be cut is unsound as a whole."""
        sound: list[Ledger] = []
        try:
            _, raw = opened(chunk)
        except StellarrowError:
            return _Checked([], chunk, whole)
        for number, xdr in enumerate(raw, chunk.first):
            one = replace(chunk, data=xdr, framing="single", first=number, last=number)
            try:
                (ledger,) = self._ledgers(one, [xdr])
            except StellarrowError as error:
                return _Checked(sound, one, error)
            if sound and (broken := _broken(ledger, sound[-1])):
                return _Checked(sound, one, broken)
            sound.append(ledger)
        return _Checked([], chunk, whole)

    def _ledgers(self, chunk: LedgerChunk, raw: Sequence[bytes | pa.Buffer]) -> list[Ledger]:
        plain = replace(chunk, data=raw[0], framing="single") if len(raw) == 1 else chunk
        headers = self._decoder(plain).tables["ledgers"].select(list(HEADER))
        return [
            Ledger(
                **{HEADER[name]: value for name, value in row.items()},
                header=headers.slice(number, 1),
                xdr=xdr,
                where=chunk.where,
                trace=chunk.trace if number == 0 or not chunk.trace else tracing.NOT_RECORDED,
            )
            for number, (row, xdr) in enumerate(zip(headers.to_pylist(), raw, strict=True))
        ]

    def _quarantine(self, due: int, checked: _Checked) -> LedgerUnsound:
        error, chunk = checked.error, checked.bad
        if error is None or chunk is None:
            raise AssertionError("only what is not sound is quarantined")
        last = None if chunk.first == chunk.last else chunk.last
        letter = self._letters.put(
            chunk.data, chunk.framing, due, error, chunk.where, last=last, fetched=chunk.fetched
        )
        return LedgerUnsound(
            f"ledger {due} of {chunk.where} is not sound: {error} (kept as {letter.name} in"
            f" {self._letters.folder}): repair the source",
            ledger=due,
        )


def _broken(ledger: Ledger, before: Ledger) -> ChainBroken | None:
    wrong = unlinked(ledger.sequence, ledger.previous_hash, before.sequence, before.hash)
    return ChainBroken(wrong) if wrong else None
