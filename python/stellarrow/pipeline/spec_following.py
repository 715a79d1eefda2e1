"""Typed tables of ledgers that are still to come: each is read with the interfaces known by then.

Ledgers are learned from in their order, before any thread decodes them. Tables and columns stay those that
there were at the beginning: what new code declares beside goes to `_other`, and to the raw values.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter
from typing import Final

from stellarrow.core.choice import choice
from stellarrow.core.decode import Decoder
from stellarrow.core.options import DecodeOptions
from stellarrow.core.typed import Knowledge, TypedTables
from stellarrow.errors import StellarrowError
from stellarrow.ledgers import LedgerBatch, LedgerChunk, LedgerRange, Network
from stellarrow.pipeline.noted_source import noting
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.protocols import Source

Noted = Callable[[str, int, str | None], None]
_CODE: Final = "contract_code"


class SpecFollower:
    """What is known of contracts as ledgers pass; `tables` decode the ledger that was learned from last.

    Code that comes is kept in the cache; `noted` is told which contract runs which code from a ledger on.
    """

    def __init__(
        self,
        known: Knowledge,
        network: Network,
        *,
        cache: SpecCache | None = None,
        noted: Noted | None = None,
    ) -> None:
        self._known = known
        self._network = network
        self._cache = cache
        self._noted = noted
        known.freeze()
        self.tables = self._compiled()

    def _compiled(self) -> TypedTables:
        self._changes = self._known.changes
        return self._known.tables(found_by_name=False)

    def learn(self, chunk: LedgerChunk) -> bool:
        """Learn from ledgers, in order; tell whether rows are read in another way from them on."""
        wanted = LedgerRange(chunk.first, chunk.last)
        # What is not sound is told by who decodes it.
        with suppress(StellarrowError):
            self._known.learn(chunk.data, self._network, chunk.framing, wanted, verify_chain=False)
        if self._known.changes == self._changes:
            return False
        before = self.tables
        self.tables = self._compiled()
        with suppress(StellarrowError):
            self._keep_code(chunk, wanted)
        self._tell(before, chunk.last)
        return True

    def _keep_code(self, chunk: LedgerChunk, wanted: LedgerRange) -> None:
        if self._cache is None:
            return
        options = DecodeOptions(network=self._network, decoded=True, verify_chain=False)
        found, _, _ = choice((_CODE,), options).decode(chunk.data, chunk.framing, wanted)
        for code in found[_CODE].column("code").drop_null().to_pylist():
            self._cache.put(code)

    def _tell(self, before: TypedTables, last: int) -> None:
        """Tell what runs behind these ledgers."""
        for contract, ran in self.tables.ran.items():
            if self._noted and ran and ran != before.ran.get(contract):
                self._noted(contract, last + 1, ran[-1][1])


class FollowedTables:
    """Decodes ledgers as they come, each with the interfaces known by then.

    The ledgers up to `learned`, inclusive, were learned from before. Chunks are noted in their order by whom
    reads the source that `noted_by` returns; any thread decodes them.
    """

    def __init__(
        self, follower: SpecFollower, tables: Sequence[str], options: DecodeOptions, *, learned: int
    ) -> None:
        self._follower = follower
        self._tables = tables
        self._options = options
        self._learned = learned
        self._switches = [(0, self._decoder())]

    def _decoder(self) -> Decoder:
        return Decoder.of(self._tables, replace(self._options, typed=self._follower.tables))

    def noted_by(self, source: Source) -> Source:
        """Return the source, whose ledgers are learned from as they pass."""
        return noting(source, self._note)

    def _note(self, chunk: LedgerChunk) -> None:
        if chunk.last > self._learned and self._follower.learn(chunk):
            self._switches.append((chunk.first, self._decoder()))

    def __call__(self, chunk: LedgerChunk) -> LedgerBatch:
        """Decode a chunk, as a Decoder does."""
        at = bisect_right(self._switches, chunk.first, key=itemgetter(0)) - 1
        return self._switches[at][1](chunk)
