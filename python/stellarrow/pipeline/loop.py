"""The loop: ledgers out of a source, through the decoder, into every sink, each ledger once."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Final

from stellarrow.core.decode import Decoder
from stellarrow.core.framing import plain_bytes
from stellarrow.core.options import DecodeOptions
from stellarrow.core.projection import as_made
from stellarrow.errors import (
    ChainBroken,
    ConfigError,
    LedgerMissing,
    LedgersRefused,
    NetworkMismatch,
    SinkError,
    StellarrowError,
    Stopped,
)
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerSet
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.pipeline.commits import Commits, covered_ledgers
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.pipeline.hash_chain import Chain
from stellarrow.pipeline.isolation import Outcome, apart, outcomes, together
from stellarrow.pipeline.joining import Joining
from stellarrow.pipeline.parallel import Ordered, ordered
from stellarrow.pipeline.traced import fetched
from stellarrow.protocols import Coding, Refetching, Sink, Source
from stellarrow.telemetry import tracing

_COLUMNS: Final = 2  # what ledgers and their columns take together, in ledgers
_IDLE_SECONDS: Final = 0.02  # nothing came for so long: who follows the chain has caught up


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did: `ranges` it made durable, ledgers `skipped` as covered, `gaps` in what the source has.

    `quarantined` ledgers are dead letters, and gaps in the sinks; `stopped` tells that it was told to end.
    """

    ledgers: int
    bytes: int
    rows: dict[str, int]
    seconds: float
    skipped: int
    ranges: LedgerSet
    gaps: LedgerSet
    quarantined: LedgerSet
    stopped: bool


@dataclass(slots=True)
class Progress:
    """How far a run is; `wanted` ledgers are its end, None where it follows the chain.

    `last_closed_at` is when the last ledger closed, in unix seconds; `committed` is the last durable one.
    """

    wanted: int | None
    skipped: int
    ledgers: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    last: int | None = None
    last_closed_at: int | None = None
    committed: int | None = None
    quarantined: int = 0

    def add(self, batch: LedgerBatch) -> None:
        """Count a batch that the sinks have taken."""
        self.ledgers += batch.run.count
        self.bytes += batch.run.size_bytes
        self.last, self.last_closed_at = batch.last, batch.run.last_closed_at
        for name in batch.tables:
            self.rows[name] = self.rows.get(name, 0) + as_made(batch.tables, name).num_rows

    def copy(self) -> Progress:
        """Return how far the run is now, which later batches leave as it is."""
        return replace(self, rows=dict(self.rows))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a run takes: threads that decode (None: one a core), memory, and seconds until it commits."""

    workers: int | None = None
    budget_mb: int = 64
    commit_every: float = 60.0

    def __post_init__(self) -> None:
        if self.budget_mb < 1:
            raise ConfigError(f"budget_mb is {self.budget_mb}: it must be at least 1")


def run(
    source: Source,
    *,
    tables: Sequence[str],
    sinks: Sequence[Sink],
    options: DecodeOptions,
    limits: Limits | None = None,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    dead_letters: DeadLetters | None = None,
    stop: threading.Event | None = None,
    decoder: Callable[[LedgerChunk], LedgerBatch] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Bring every wanted ledger that a sink lacks into the sinks, and return what was done.

    Without `ledgers` it takes all the source has. A ledger that cannot be read or decoded stops it, with all
    before it durable; the same call continues from there. With `dead_letters`, a ledger that cannot be
    decoded, or whose rows a sink refuses, is kept there instead and stays a gap. Once `stop` is set it
    finishes the batch in hand, commits and returns. What was written is committed when a chain that is
    followed has nothing more, and when nothing became durable for `commit_every` seconds. Nothing is closed.
    `decoder` is one that makes these tables, instead of one made for this run.
    """
    began = time.monotonic()
    wanted = wanted_ledgers(source, ledgers)
    missing = wanted - covered_ledgers(sinks)
    end = None if is_open(wanted) else missing.count
    loop = _Loop(
        source=source,
        decoder=decoder or Decoder.of(tables, replace(options, dictionaries=_take_dictionaries(sinks))),
        tables=tables,
        sinks=sinks,
        verify_chain=options.verify_chain,
        limits=limits or Limits(),
        dead_letters=dead_letters,
        stop=stop or threading.Event(),
        progress=progress,
        state=Progress(end, (wanted - missing).count, rows=dict.fromkeys(tables, 0)),
    )
    loop.bring(missing)
    return loop.report(time.monotonic() - began, gaps=wanted.holes if ledgers is None else LedgerSet())


def _take_dictionaries(sinks: Sequence[Sink]) -> bool:
    return bool(sinks) and all(isinstance(one, Coding) and one.takes_dictionaries for one in sinks)


def wanted_ledgers(source: Source, ledgers: LedgerSet | LedgerRange | str | None) -> LedgerSet:
    """Return what a run would want: everything the source has, unless told."""
    if ledgers is None:
        return source.available()
    if isinstance(ledgers, str):
        return LedgerSet.parse(ledgers, known=source.available, times=CloseTimes.of_source(source))
    return LedgerSet([ledgers]) if isinstance(ledgers, LedgerRange) else ledgers


def is_open(ledgers: LedgerSet) -> bool:
    """Tell whether a set follows the chain."""
    return bool(ledgers) and ledgers.ranges[-1].last is None


@dataclass(slots=True, kw_only=True)
class _Loop:
    """One run: what it was asked for, and how far it is."""

    source: Source
    decoder: Callable[[LedgerChunk], LedgerBatch]
    tables: Sequence[str]
    sinks: Sequence[Sink]
    verify_chain: bool
    limits: Limits
    dead_letters: DeadLetters | None
    stop: threading.Event
    progress: Callable[[Progress], None] | None
    state: Progress
    safe: Progress = field(init=False)
    commits: Commits = field(init=False)
    refetch: Callable[[LedgerChunk], LedgerChunk] | None = field(init=False)
    quarantined: LedgerSet = field(default_factory=LedgerSet)

    def __post_init__(self) -> None:
        self.safe = self.state.copy()
        self.commits = Commits(self.sinks, self.limits.commit_every)
        self.refetch = self.source.refetch if isinstance(self.source, Refetching) else None

    def report(self, seconds: float, *, gaps: LedgerSet) -> Report:
        return Report(
            ledgers=self.state.ledgers,
            bytes=self.state.bytes,
            rows=self.state.rows,
            seconds=seconds,
            skipped=self.state.skipped,
            ranges=self.commits.done,
            gaps=gaps,
            quarantined=self.quarantined,
            stopped=self.stop.is_set(),
        )

    def bring(self, missing: LedgerSet) -> None:
        """Bring part after part; whatever ends it, what was written before is durable."""
        if not missing:
            for sink in self.sinks:
                sink.commit()  # what an earlier run left unfinished is for this one
        parts = deque((part, False) for part in missing)
        try:
            while parts and not self.stop.is_set():
                part, singly = parts.popleft()
                try:
                    self._extract(part, singly=singly)
                except LedgersRefused:
                    if singly:
                        raise
                    parts.extendleft(reversed(self._doubtful(part)))
        except Stopped:
            if not self.stop.is_set():
                raise
            with suppress(Stopped):
                self._commit()
        except (ChainBroken, NetworkMismatch, SinkError):
            raise  # what is pending may be of the wrong chain, or half written
        except StellarrowError:
            with suppress(StellarrowError):  # the first error is the one to tell
                self._commit()
            raise

    def _extract(self, part: LedgerRange, *, singly: bool) -> None:
        results = ordered(
            fetched(self.source.read(part)),
            self._singly if singly else self._outcomes,
            workers=self.limits.workers or os.cpu_count() or 1,
            budget=self.limits.budget_mb << 20,
            cost=weight,
            joins=self.decoder.joins if isinstance(self.decoder, Joining) and not singly else None,
        )
        with closing(results):
            for outcome in self._linked(self._arriving(results, follows=part.last is None), part):
                self._take(outcome, singly=singly)
        self._commit()

    def _doubtful(self, part: LedgerRange) -> list[tuple[LedgerRange, bool]]:
        """Return what to bring ledger by ledger, to find those that a sink refuses, and what comes after."""
        last = self.commits.pending.last
        again = self.commits.drop()
        self.state = self.safe.copy()
        rest = LedgerSet([part]) - LedgerSet([LedgerRange(part.first, last)])
        return [*((one, True) for one in again), *((one, False) for one in rest)]

    def _commit(self) -> None:
        self.commits.commit()
        self._note_commit()

    def _note_commit(self) -> None:
        """Remember how far the run is with nothing pending."""
        if self.commits.is_clean and self.commits.done:
            has_moved = self.state.committed != self.commits.done.last
            self.state.committed = self.commits.done.last
            self.safe = self.state.copy()
            if has_moved:
                self._tell()

    def _outcomes(self, *chunks: LedgerChunk) -> list[Outcome]:
        with tracing.span("decode", chunks[0].trace):
            if len(chunks) > 1 and (joined := together(chunks, self.decoder)):
                return [joined]
            each = [outcomes(chunk, self.decoder, self.refetch) for chunk in chunks]
        return [outcome for found in each for outcome in found]

    def _singly(self, chunk: LedgerChunk) -> list[Outcome]:
        with tracing.span("decode", chunk.trace):
            return list(apart(chunk, self.decoder))

    def _arriving(self, results: Ordered[list[Outcome]], *, follows: bool) -> Iterator[Outcome]:
        """Yield what arrives until it ends or is to stop; while nothing does, keep what was written safe."""
        while True:
            while not results.ready(_IDLE_SECONDS) and not self.stop.is_set():
                if follows:
                    self._commit()
                self._idle()
            if self.stop.is_set() or (arrived := next(results, None)) is None:
                return
            yield from arrived
            del arrived  # or its rows would live until the next are there
            self._idle()

    def _idle(self) -> None:
        self.commits.commit_if_due()
        self._note_commit()

    def _linked(self, arriving: Iterator[Outcome], part: LedgerRange) -> Iterator[Outcome]:
        """Check what no single decode can see: that one chunk goes on where the other ended."""
        chain = Chain(part, verify=self.verify_chain)
        for outcome in arriving:
            chain.follow(
                outcome.chunk.first, outcome.chunk.last, outcome.batch.run if outcome.batch else None
            )
            yield outcome
        if not self.stop.is_set():
            chain.end()

    def _take(self, outcome: Outcome, *, singly: bool) -> None:
        if outcome.batch is None:
            self._quarantine(
                outcome.chunk, outcome.error or LedgerMissing(f"{outcome.chunk.where} has no rows")
            )
            return
        trace = outcome.chunk.trace
        self.commits.expect(LedgerRange(outcome.chunk.first, outcome.chunk.last), trace)
        try:
            with tracing.span("write", trace):
                for sink in self.sinks:
                    sink.write(outcome.batch)
            if singly:
                self._commit()
        except LedgersRefused as error:
            if not singly:
                raise
            self.commits.drop()
            self._quarantine(outcome.chunk, error)
            return
        self.state.add(outcome.batch)
        self._tell()

    def _quarantine(self, chunk: LedgerChunk, error: StellarrowError) -> None:
        if self.dead_letters is None:
            raise error
        self.dead_letters.put(
            chunk.data,
            chunk.framing,
            chunk.first,
            error,
            chunk.where,
            last=chunk.last,
            tables=self.tables,
            fetched=chunk.fetched,
        )
        self.quarantined |= LedgerSet([LedgerRange(chunk.first, chunk.last)])
        self.state.quarantined = self.quarantined.count
        self._tell()

    def _tell(self) -> None:
        if self.progress:
            self.progress(self.state)


def weight(chunk: LedgerChunk) -> int:
    """Estimate the memory a chunk takes until its rows are in the sinks."""
    return plain_bytes(chunk) * _COLUMNS
