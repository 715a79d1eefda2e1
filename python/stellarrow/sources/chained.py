"""Several sources as one: history from the first that has it, the live edge from the last."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from stellarrow.errors import ConfigError, LedgerMissing, NetworkMismatch, SourceError, SourceUnavailable
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.protocols import Guarded, Named, Refetching, ServerState, Source

_log: Final = logging.getLogger(__name__)


class ChainedSource:
    """Read each ledger from the first source that has it; what none has yet, the last one waits for.

    That both sides of a joint are of one chain, the hashes prove, where the pipeline checks them.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise ConfigError("a chain of sources needs at least one")
        self._sources = tuple(sources)
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
        known = [self._held(source) for source in self._sources]
        lines = [held for held in known if held is not None]
        if not lines:
            return self._sources[0].available()  # which says why it cannot tell
        return LedgerSet(part for held in lines for part in held)

    def network(self) -> Network | None:
        """Return the network the sources tell; NetworkMismatch where they are of two."""
        lines = [(source, source.network()) for source in self._sources]
        known = [(source, network) for source, network in lines if network]
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
        failed: dict[Source, SourceError] = {}  # who could not give the ledger due
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
            except (LedgerMissing, SourceUnavailable) as error:
                if due > begun:
                    failed.clear()
                failed[source] = error

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Fetch a chunk once more from any that can; the first other bytes are the ones to try."""
        fresh = chunk
        for source in self._sources:
            if fresh.data == chunk.data and isinstance(source, Refetching):
                with suppress(SourceError):
                    fresh = source.refetch(chunk)
        return fresh

    def close(self) -> None:
        self._stop.set()
        for source in self._sources:
            source.close()

    def _holder(
        self, due: int, wanted: LedgerRange, failed: dict[Source, SourceError]
    ) -> tuple[Source, int | None]:
        """Return who gives a ledger, and how far to read there."""
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
        self, due: int, seen: dict[Source, LedgerSet], failed: dict[Source, SourceError]
    ) -> SourceError:
        lines = [f"{_name(source)} has {held or 'none'}" for source, held in seen.items()]
        begins = min((held.first for held in seen.values() if held), default=0)
        if due < begins:
            lines.append(f"the first of them begins with ledger {begins}: start there, with {begins}:")
        lines += map(str, failed.values())
        kinds = [type(error) for error in failed.values()]
        kind = SourceUnavailable if SourceUnavailable in kinds else LedgerMissing
        return kind(f"no source has ledger {due}: {'; '.join(lines)}")

    def _held(self, source: Source) -> LedgerSet | None:
        with suppress(ConfigError):  # it cannot tell
            return source.available()
        return None


def _name(source: Source) -> str:
    return source.name if isinstance(source, Named) else type(source).__name__
