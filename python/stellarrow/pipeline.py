"""The loop: ledgers out of a source, through the decoder, into every sink, each ledger once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from stellarrow.decode import Decoder
from stellarrow.errors import ChainBroken, ConfigError, LedgerMissing
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, LedgerRun, LedgerSet, Network
from stellarrow.ordered import ordered
from stellarrow.protocols import Sink, Source

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_RATIO: Final = 11  # of ledgers with many transactions
_COLUMNS: Final = 2  # what ledgers and their columns take together, in ledgers


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did: `ranges` it added, ledgers `skipped` as covered, `gaps` in what the source has."""

    ledgers: int
    bytes: int
    rows: dict[str, int]
    seconds: float
    skipped: int
    ranges: LedgerSet
    gaps: LedgerSet


@dataclass(slots=True)
class Progress:
    """How far a run is; `wanted` ledgers are its end, None where it follows the chain."""

    wanted: int | None
    skipped: int
    ledgers: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    last: int | None = None

    def add(self, batch: LedgerBatch) -> None:
        self.ledgers += batch.run.count
        self.bytes += batch.run.size_bytes
        self.last = batch.last
        for name, rows in batch.tables.items():
            self.rows[name] = self.rows.get(name, 0) + rows.num_rows


def run(
    source: Source,
    *,
    tables: Sequence[str],
    sinks: Sequence[Sink],
    network: str | Network,
    ledgers: LedgerSet | LedgerRange | str | None = None,
    where: Filter | None = None,
    decoded: bool = False,
    transfers: str = "derive",
    verify_chain: bool = True,
    workers: int | None = None,
    budget_mb: int = 64,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Bring every wanted ledger that a sink lacks into the sinks, and return what was done.

    Without `ledgers` it takes all the source has. An error stops it; what a sink has committed stays, and the
    same call goes on from there. Sinks are not closed.
    """
    began = time.monotonic()
    if budget_mb < 1:
        raise ConfigError(f"budget_mb is {budget_mb}: it must be at least 1")
    decoder = Decoder(
        tables,
        network=network,
        where=where,
        decoded=decoded,
        transfers=transfers,
        verify_chain=verify_chain,
    )
    wanted = wanted_ledgers(source, ledgers)
    missing = wanted - covered_ledgers(sinks)
    state = Progress(None if is_open(wanted) else missing.count, (wanted - missing).count)
    state.rows.update(dict.fromkeys(tables, 0))
    done = LedgerSet()
    for part in missing:
        chunks = source.read(part)
        batches = ordered(
            chunks, decoder, workers=workers or os.cpu_count() or 1, budget=budget_mb << 20, cost=_weight
        )
        with closing(batches):
            done |= _bring(_linked(batches, part, verify_chain), sinks, state, progress)
    return Report(
        ledgers=state.ledgers,
        bytes=state.bytes,
        rows=state.rows,
        seconds=time.monotonic() - began,
        skipped=state.skipped,
        ranges=done,
        gaps=wanted.holes if ledgers is None else LedgerSet(),
    )


def wanted_ledgers(source: Source, ledgers: LedgerSet | LedgerRange | str | None) -> LedgerSet:
    """Return what a run would want: everything the source has, unless told."""
    if ledgers is None:
        return source.available()
    if isinstance(ledgers, str):
        return LedgerSet.parse(ledgers, known=source.available)
    return LedgerSet([ledgers]) if isinstance(ledgers, LedgerRange) else ledgers


def covered_ledgers(sinks: Sequence[Sink]) -> LedgerSet:
    """Return the ledgers every sink has."""
    if not sinks:
        return LedgerSet()
    covered, *others = (sink.coverage() for sink in sinks)
    for other in others:
        covered &= other
    return covered


def is_open(ledgers: LedgerSet) -> bool:
    """Tell whether a set follows the chain."""
    return bool(ledgers) and ledgers.ranges[-1].last is None


def _bring(
    batches: Iterable[LedgerBatch],
    sinks: Sequence[Sink],
    state: Progress,
    progress: Callable[[Progress], None] | None,
) -> LedgerSet:
    done: LedgerRange | None = None
    for batch in batches:
        for sink in sinks:
            sink.write(batch)
        done = LedgerRange(done.first if done else batch.first, batch.last)
        state.add(batch)
        if progress:
            progress(state)
    for sink in sinks:
        sink.commit()
    return LedgerSet([done] if done else [])


def _linked(batches: Iterable[LedgerBatch], part: LedgerRange, verify_chain: bool) -> Iterator[LedgerBatch]:
    """Check what no single decode can see: that one chunk goes on where the other ended."""
    before: LedgerRun | None = None  # not the batch, whose rows may go
    due = part.first
    for batch in batches:
        if batch.first != due:
            raise LedgerMissing(f"ledger {due} was due, but the source went on with {batch.first}")
        if before and verify_chain and batch.run.previous_hash != before.last_hash:
            raise ChainBroken(
                f"ledger {batch.first} names {batch.run.previous_hash} as the hash before it, but ledger"
                f" {before.last} has {before.last_hash}: one is not of this chain, fetch both again"
            )
        before, due = batch.run, batch.last + 1
        yield batch
    if part.last is not None and due <= part.last:
        raise LedgerMissing(f"ledger {due} was due, but the source ended")


def _weight(chunk: LedgerChunk) -> int:
    """Estimate the memory a chunk takes until its rows are in the sinks."""
    plain = len(chunk.data) * (_ZSTD_RATIO if chunk.data[:4] == _ZSTD_MAGIC else 1)
    return plain * _COLUMNS
