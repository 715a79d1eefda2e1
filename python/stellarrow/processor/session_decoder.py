"""Decoding for all sessions: slots they share, and filters that change between two ledgers."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.decode import Decoder
from stellarrow.core.figures import COUNTED_TABLES
from stellarrow.core.tables import table
from stellarrow.core.typed import TypedTables
from stellarrow.errors import ConfigError, NetworkMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerChunk, Network
from stellarrow.pipeline.joining import TOGETHER_BYTES, go_on
from stellarrow.pipeline.noted_source import noting
from stellarrow.pipeline.spec_following import SpecFollower
from stellarrow.processor.thread_priority import lower_priority
from stellarrow.protocols import Source
from stellarrow.telemetry.metrics import Metrics
from stellarrow.telemetry.rates import Recent

COUNTED = "contract_data"


def counted_tables(tables: Sequence[str]) -> list[str]:
    """Return those tables, of the newest version, that figures are counted from."""
    newest = {name: table(name) for name in COUNTED_TABLES}
    return [name for name in tables if newest.get(table(name).name) == table(name)]


def agreed_network(source: Source, named: Network | None) -> Network:
    """Return the network the source tells, or the one named; they must not differ."""
    answer = source.network()
    if answer and named and answer.passphrase != named.passphrase:
        raise NetworkMismatch(
            f"the source says its ledgers are of {answer}, not {named}: fix NETWORK_PASSPHRASE"
        )
    network = answer or named
    if network is None:
        raise ConfigError("the source does not tell its network: set NETWORK_PASSPHRASE, or --network")
    return network


def changed_network(begun: str, network: Network) -> NetworkMismatch:
    """Return the error of a session whose source is of another network than its first ledgers."""
    return NetworkMismatch(
        f"the session began with ledgers of {Network.from_passphrase(begun)}, and now they are of {network}:"
        " fix the source or NETWORK_PASSPHRASE, or start another session"
    )


class Slots:
    """How much is decoded at once, whoever asks; `took` are the seconds a chunk took lately."""

    def __init__(self, count: int, *, metrics: Metrics, kind: str) -> None:
        self.took = Recent()
        # The last core is for those that write and those that answer clients: taking it too makes sessions
        # a tenth faster at most, and control calls wait twice as long.
        self.count = min(count, max(1, (os.cpu_count() or count) - 1))
        self._free = threading.Semaphore(self.count)
        self._metrics = metrics.processing_duration.labels(kind, "decode")

    def decode(self, decoder: Decoder, *chunks: LedgerChunk) -> LedgerBatch:
        lower_priority()
        with self._free:
            began = time.perf_counter()
            batch = decoder(*chunks)
        took = (time.perf_counter() - began) / len(chunks)
        self.took.add(took)
        for _ in chunks:
            self._metrics.observe(took)
        return batch


class Filtered:
    """The decoder of one session.

    A filter holds from the first ledger fed after it was set, whichever thread decodes what: `feeding` notes
    in ledger order which filter is due, decoding looks it up.
    """

    def __init__(
        self,
        tables: Sequence[str],
        *,
        network: Network,
        where: Filter,
        slots: Slots,
        ways: Ways,
        follower: SpecFollower | None = None,
        together: int = TOGETHER_BYTES,
    ) -> None:
        """Make one that decodes at most so many bytes of ledgers `together`."""
        self._tables = tuple(tables)
        self._network = network
        self._slots = slots
        self._ways = ways
        self._counts_from = _counted(tables)
        self._skipped: dict[int, int] = {}  # by the first ledger of a chunk
        self._where = where
        self._follower = follower
        self._together = together
        self._next = self._way()
        self._switches: list[tuple[int, _Way]] = []

    def set(self, where: Filter) -> None:
        """Let a filter hold from the next ledger fed on."""
        self._where = where
        self._next = self._way()

    def _way(self) -> _Way:
        if self._follower is None:
            return self._ways.way(self._tables, self._network, self._where)
        return self._ways.made(self._tables, self._network, self._where, self._follower.tables)

    def feeding(self, source: Source) -> Source:
        """Return the source, noting what passes."""
        return noting(source, self.note)

    def note(self, chunk: LedgerChunk) -> None:
        """Note what holds from a chunk on, and what it tells of contracts."""
        if self._follower and self._follower.learn(chunk):
            self._next = self._way()
        if not self._switches or self._switches[-1][1] is not self._next:
            self._switches.append((chunk.first, self._next))

    def joins(self, taken: Sequence[LedgerChunk], chunk: LedgerChunk) -> bool:
        """Tell whether a chunk is decoded along with those before it: it waits, and is small and alike."""
        way = self._way_of(taken[0])
        return (
            way.decoder.takes_several
            and go_on(taken, chunk, most=self._together)
            and way is self._way_of(chunk)
        )

    def _way_of(self, chunk: LedgerChunk) -> _Way:
        at = bisect_right(self._switches, chunk.first, key=itemgetter(0)) - 1
        return self._switches[max(at, 0)][1]

    def __call__(self, chunk: LedgerChunk, *more: LedgerChunk) -> LedgerBatch:
        way = self._way_of(chunk)
        batch = self._slots.decode(way.decoder, chunk, *more)
        every = self._slots.decode(way.unfiltered, chunk, *more) if way.unfiltered else batch
        if way.drops_deleted:
            batch = replace(batch, tables={name: _kept(rows) for name, rows in batch.tables.items()})
        if every is not batch and self._counts_from and self._counts_from in every.tables:
            self._skipped[chunk.first] = _entries(every, self._counts_from) - self.entries(batch)
        return batch if way.unfiltered is None else replace(batch, counted=every.counted)

    def entries(self, batch: LedgerBatch) -> int:
        """Return how many of a batch's rows count as entries."""
        return _entries(batch, self._counts_from)

    def skipped(self, batch: LedgerBatch) -> int:
        """Return, once, how many entries the filter left out of a batch."""
        return self._skipped.pop(batch.first, 0)


class Ways:
    """How sessions decode by the filter that holds: made once for all of the same tables and network.

    `for_figures` says that all rows are handed on, whatever the filter, for figures to be counted from.
    """

    def __init__(self, *, for_figures: bool = False) -> None:
        self._for_figures = for_figures
        self._lock = threading.Lock()
        self._where: Filter | None = None
        self._made: dict[tuple[tuple[str, ...], str], _Way] = {}

    def way(self, tables: tuple[str, ...], network: Network, where: Filter) -> _Way:
        with self._lock:
            if where is not self._where:
                self._where, self._made = where, {}
            key = (tables, network.passphrase)
            if key not in self._made:
                self._made[key] = self.made(tables, network, where)
            return self._made[key]

    def made(
        self, tables: tuple[str, ...], network: Network, where: Filter, typed: TypedTables | None = None
    ) -> _Way:
        """Make a way that is not shared: `typed` makes the typed tables."""
        return _made(tables, network, where, for_figures=self._for_figures, typed=typed)


def _made(
    tables: tuple[str, ...], network: Network, where: Filter, *, for_figures: bool, typed: TypedTables | None
) -> _Way:
    """Return how to decode so that what a filter leaves out can be counted.

    Removed entries alone are few: they are dropped afterwards. Any other filter is pushed down, and the
    entries without it are decoded too, to be counted.
    """
    if where in (Filter(), Filter(include_deleted=False)):
        decoder = Decoder(tables, network=network, keeps_counted=for_figures, typed=typed)
        return _Way(decoder, drops_deleted=where != Filter())
    chosen = Decoder(tables, network=network, where=where, typed=typed)
    counted = [name for name in tables if table(name).name == COUNTED]
    if for_figures:
        counted = counted_tables(tables)
    if not counted:
        return _Way(chosen)
    return _Way(chosen, unfiltered=Decoder(counted, network=network, keeps_counted=for_figures))


def _counted(tables: Sequence[str]) -> str | None:
    """Return the table whose rows count as entries; None where they are those of all."""
    return next((name for name in tables if table(name).name == COUNTED), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How chunks are decoded while a filter holds."""

    decoder: Decoder = field(kw_only=False)
    unfiltered: Decoder | None = None
    drops_deleted: bool = False


def _kept(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out removed entries, without a copy where there are none."""
    if "deleted" not in rows.schema.names:
        return rows
    deleted = rows.column("deleted")
    return rows.filter(pc.invert(deleted)) if deleted.true_count else rows


def _entries(batch: LedgerBatch, name: str | None) -> int:
    counted = [batch.tables[name]] if name else batch.tables.values()
    return sum(rows.num_rows for rows in counted)
