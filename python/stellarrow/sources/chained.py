"""Several sources as one: history from the first that has it, the live edge from the last.

What one cannot give, as it is away, lacks a ledger or has it damaged, another gives; that is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from stellarrow.errors import (
    ConfigError,
    DecodeError,
    LedgerMissing,
    NetworkMismatch,
    SourceError,
    SourceUnavailable,
)
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.protocols import Guarded, Named, Refetching, ServerState, Source
from stellarrow.telemetry.metrics import Metrics

_STAND_IN_LEDGERS: Final = 1_000  # read of another before the one that lacked a ledger is asked again
_FAULTS: Final = (SourceError, DecodeError)
_log: Final = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class ChainedSource:
    """Read each ledger from the first source that has it; what none has yet, the last one waits for.

    That both sides of a joint are of one chain, the hashes prove, where the pipeline checks them.
    """

    def __init__(self, sources: Sequence[Source], *, metrics: Metrics | None = None) -> None:
        if not sources:
            raise ConfigError("a chain of sources needs at least one")
        self._sources = tuple(sources)
        self._metrics = metrics
        self._stop = threading.Event()

    @property
    def name(self) -> str:
        return ",".join(map(_name, self._sources))

    @property
    def guards(self) -> tuple[ServerState, ...]:
        """What stands before each server, for those who watch over them."""
        guarded = [source for source in self._sources if isinstance(source, Guarded)]
        return tuple(guard for source in guarded for guard in source.guards)

    def available(self) -> LedgerSet:
        lines = [held for held in self._answers(self._held) if held is not None]
        if not lines:
            return self._sources[0].available()  # which says why it cannot tell
        return LedgerSet(part for held in lines for part in held)

    def network(self) -> Network | None:
        """Return the network the sources tell; NetworkMismatch where they are of two."""
        answers = self._answers(lambda source: (source, source.network()))
        known = [(source, network) for source, network in answers if network]
        for source, network in known[1:]:
            first, expected = known[0]
            if network.passphrase != expected.passphrase:
                raise NetworkMismatch(
                    f"{_name(first)} holds ledgers of {expected}, {_name(source)} of {network}: chain sources"
                    " of one network"
                )
        return known[0][1] if known else None

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        due = ledgers.first
        failed: dict[Source, SourceError | DecodeError] = {}  # who could not give the ledger due
        while due <= ledgers.end:
            source, last = self._holder(due, ledgers, failed)
            begun = due
            try:
                for chunk in source.read(LedgerRange(due, last)):
                    yield chunk
                    due = chunk.last + 1
                if self._stop.is_set():
                    return
                if last is None or due <= last:
                    raise LedgerMissing(f"{_name(source)} ended before ledger {due}")
                failed.clear()
            except _FAULTS as error:
                if due > begun:
                    failed.clear()
                failed[source] = error

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Fetch a chunk once more, from where it came and then from the others, for the first other bytes."""
        own = next((at for at, one in enumerate(self._sources) if chunk.where.startswith(_name(one))), 0)
        for at, source in enumerate((*self._sources[own:], *self._sources[:own])):
            with suppress(*_FAULTS):
                fresh = _again(source, chunk)
                if fresh.data != chunk.data:
                    if at:
                        self._tell(source, chunk.first, f"{chunk.where} could not be read")
                    return fresh
        return chunk

    def close(self) -> None:
        self._stop.set()
        for source in self._sources:
            source.close()

    def _holder(
        self, due: int, wanted: LedgerRange, failed: dict[Source, SourceError | DecodeError]
    ) -> tuple[Source, int | None]:
        """Return who gives a ledger, and how far to read there; who stands in gives a bounded number."""
        source, last = self._found(due, wanted, failed)
        if failed:
            self._tell(source, due, "; ".join(map(str, failed.values())))
        # One that is away is away for a while, and one that follows the chain is not to be interrupted.
        if failed and last is not None and not any(isinstance(e, SourceUnavailable) for e in failed.values()):
            last = min(last, due + _STAND_IN_LEDGERS - 1)
        return source, last

    def _found(
        self, due: int, wanted: LedgerRange, failed: dict[Source, SourceError | DecodeError]
    ) -> tuple[Source, int | None]:
        seen: dict[Source, LedgerSet] = {}
        for source in self._sources:
            if source in failed:
                continue
            try:
                held = self._held(source)
            except SourceUnavailable as error:
                failed[source] = error
                continue
            live = source is self._sources[-1]
            if held is None or (live and (not held or due > held.last)):
                return source, wanted.last  # it gives what it has and waits for the rest
            seen[source] = held
            for run in held:
                if due in run:
                    _log.info("reading on from ledger %d in %s", due, _name(source))
                    return source, wanted.last if live else min(run.end, wanted.end)
        raise self._nobody(due, seen, failed)

    def _nobody(
        self, due: int, seen: dict[Source, LedgerSet], failed: dict[Source, SourceError | DecodeError]
    ) -> SourceError | DecodeError:
        for error in failed.values():
            if not isinstance(error, LedgerMissing | SourceUnavailable):
                return error  # the ledger is there, and this is what is wrong with it
        lines = [f"{_name(source)} has {held or 'none'}" for source, held in seen.items()]
        begins = min((held.first for held in seen.values() if held), default=0)
        if due < begins:
            lines.append(f"the first of them begins with ledger {begins}: start there, with {begins}:")
        lines += map(str, failed.values())
        kinds = [type(error) for error in failed.values()]
        kind = SourceUnavailable if SourceUnavailable in kinds else LedgerMissing
        return kind(f"no source has ledger {due}: {'; '.join(lines)}")

    def _answers(self, ask: Callable[[Source], Answer]) -> list[Answer]:
        """Ask every source that is there; where none is, say why."""
        found, away = list[Answer](), list[SourceUnavailable]()
        for source in self._sources:
            try:
                found.append(ask(source))
            except SourceUnavailable as error:
                away.append(error)
        if away and not found:
            raise away[0]
        return found

    def _tell(self, source: Source, ledger: int, reason: str) -> None:
        """Tell that a source stands in for another."""
        _log.warning("ledger %d is read from %s: %s", ledger, _name(source), reason)
        if self._metrics:
            self._metrics.source_stand_ins.labels(_name(source)).inc()

    def _held(self, source: Source) -> LedgerSet | None:
        with suppress(ConfigError):  # it cannot tell
            return source.available()
        return None


def _again(source: Source, chunk: LedgerChunk) -> LedgerChunk:
    """Fetch a chunk anew, where a source has the same ledgers together."""
    if isinstance(source, Refetching):
        return source.refetch(chunk)
    for fresh in source.read(LedgerRange(chunk.first, chunk.last)):
        if (fresh.first, fresh.last) == (chunk.first, chunk.last):
            return fresh
        break
    return chunk


def _name(source: Source) -> str:
    return source.name if isinstance(source, Named) else type(source).__name__
