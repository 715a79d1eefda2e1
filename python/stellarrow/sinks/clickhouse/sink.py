"""The sink: buffers batches, writes their rows, and lets them count by one commit."""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import pyarrow as pa

from stellarrow.core.tables import Table, columns_of, is_typed
from stellarrow.errors import ConfigError, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerSet, Network
from stellarrow.net.resilience import Guard, Policy
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.clickhouse import ddl, typed_tables
from stellarrow.sinks.clickhouse.address import OPTIONS, Address
from stellarrow.sinks.clickhouse.commits import Commits, Making, Part
from stellarrow.sinks.clickhouse.reading import HeldRows, held_tables
from stellarrow.sinks.clickhouse.rows import RowStore
from stellarrow.sinks.clickhouse.server import Server
from stellarrow.sinks.transactional.batch_buffer import BatchBuffer
from stellarrow.sinks.transactional.makings import making_texts, meant_tables
from stellarrow.telemetry.metrics import Metrics

_log: Final = logging.getLogger(__name__)
_BUFFER_BYTES: Final = 64 << 20  # of Arrow, after which rows are written: large parts need less merging
_BUFFER_BATCHES: Final = 2_000  # a commit names its ranges
_TURNS: Final = 60  # that other writers of the same ledgers may take before ours


@dataclass(frozen=True, slots=True)
class _Kept:
    """A table: `asked` as in the batches, and how it is written."""

    asked: str
    table: Table
    columns: pa.Schema
    making: Making

    @property
    def is_typed(self) -> bool:
        return is_typed(self.table.name)


class _Overtaken(Exception):
    """Another writer committed some of the same ledgers first."""


class ClickHouseSink:
    """Keep tables in ClickHouse. Rows count from one commit on, which tells which ledgers they are of.

    Rows are written under the number of a batch, and views show those of batches that were committed. So a
    reader of views sees a ledger whole and once, whatever died before its commit. Any number of writers may
    write, the same ledgers too. Opening it asks nothing of the server; coverage reads there, and only write
    and commit make anything.
    """

    def __init__(
        self,
        url: str | Server,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        policy: Policy | None = None,
        metrics: Metrics | None = None,
        stop: threading.Event | None = None,
        buffer_bytes: int = _BUFFER_BYTES,
    ) -> None:
        self._server = Server(Address.parse(url)) if isinstance(url, str) else url
        self._tables = _kept(tables, Network.of(network), where, decoded=decoded, transfers=transfers)
        self._guard = Guard(
            str(self._server.address), policy, metrics=metrics, stop=stop, refusal=SinkUnavailable
        )
        self._commits = Commits(self._server)
        self._rows = RowStore(self._server)
        self._buffer = BatchBuffer("the ClickHouse sink", [kept.asked for kept in self._tables])
        self._buffer_bytes = buffer_bytes
        self._waits = policy is not None
        self._reached = self._made = False

    options: ClassVar[Mapping[str, str]] = OPTIONS

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> ClickHouseSink:
        """Open a database, as the registry does."""
        return cls(
            url,
            tables,
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
        )

    @classmethod
    def held(cls, url: str) -> list[HeldRows]:
        """Return the tables that a database holds, whoever wrote them."""
        return held_tables(Server(Address.parse(url)))

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that contracts' own tables in a database have."""
        commits = Commits(Server(Address.parse(url)))
        commits.refresh()
        return commits.columns

    @classmethod
    def compact(cls, url: str, ledgers_per_file: int) -> int:  # noqa: ARG003  the server merges by itself
        """Remove rows that never count, of writers that died when another had written the same ledgers."""
        server = Server(Address.parse(url))
        rows = RowStore(server)
        return sum(rows.sweep(held.name, held.ledgers) for held in held_tables(server))

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the server, for those who watch over it."""
        return (self._guard,)

    def health(self) -> Health:
        """Say whether the server answers, without changing anything there."""
        return self._server.health()

    def write(self, batch: LedgerBatch) -> None:
        self._buffer.add(batch)
        if self._buffer.nbytes >= self._buffer_bytes or len(self._buffer) >= _BUFFER_BATCHES:
            self.commit()

    def commit(self) -> None:
        """Commit what is buffered; what fails stays buffered."""
        if self._buffer:
            self._reach()
            self._guard.call("flush", self._store)
        self._buffer.clear()

    def coverage(self) -> LedgerSet:
        self._reach()
        self._guard.call("coverage", self._refresh)
        return self._covered()

    def close(self) -> None:
        self._buffer.clear()
        self._server.close()

    def _reach(self) -> None:
        """Connect the first time; without a policy, a server that is not there is told at once."""
        if self._reached:
            return
        if self._waits:
            self._guard.call("open", self._server.connect)
        else:
            self._server.connect()
        self._reached = True

    def _store(self) -> None:
        """Commit, again where another writer was first: what it wrote is left out then."""
        if not self._made:
            self._refresh()
            self._rows.make([(kept.table.name, self._columns(kept)) for kept in self._tables])
            self._made = True
        for turn in range(_TURNS):
            try:
                self._attempt()
                return
            except _Overtaken:
                wait = random.uniform(0, min(2.0, 0.02 * 2**turn))  # noqa: S311  not all at once
                threading.Event().wait(wait)
        raise SinkError(
            f"other writers wrote the same ledgers to {self._server.address} {_TURNS} times before a commit"
            " got through: give each writer ledgers of its own"
        )

    def _attempt(self) -> None:
        """Write rows as a batch of their own, see that they are all there, and let them count."""
        batch = secrets.randbits(63)
        missing = {kept.asked: self._missing(kept) for kept in self._tables}
        due = [kept for kept in self._tables if missing[kept.asked]]
        if not due:
            return
        parts = [self._written(kept, batch, missing[kept.asked]) for kept in due]
        try:
            strangers = self._rows.check(parts)
            while not self._commits.enter(self._told(parts)):
                self._check_makings()
                if any(part.ledgers & self._commits.covered(part.table) for part in parts):
                    raise _Overtaken
        except _Overtaken:
            self._rows.remove(parts, [batch])
            raise
        self._rows.remove(parts, strangers)  # no writer can commit them any more

    def _written(self, kept: _Kept, batch: int, ledgers: LedgerSet) -> Part:
        """Write a table's rows of these ledgers as a batch."""
        own = typed_tables.stored_columns(kept.columns) if kept.is_typed else None
        rows = self._rows.write(kept.table.name, batch, self._buffer, kept.asked, ledgers, own=own)
        return Part(kept.table.name, batch, ledgers, rows, kept.making)

    def _told(self, parts: Sequence[Part]) -> list[Part]:
        """Return parts with the columns that contracts' own tables get with them, by what is known now."""
        typed = {kept.table.name: kept for kept in self._tables if kept.is_typed}
        return [
            replace(one, columns=self._news(typed[one.table])) if one.table in typed else one for one in parts
        ]

    def _news(self, kept: _Kept) -> pa.Schema | None:
        held = self._commits.columns.get(kept.table.name)
        return typed_tables.news(held, typed_tables.grown_columns(kept.table.name, held, kept.columns))

    def _columns(self, kept: _Kept) -> pa.Schema:
        """Return the columns that a table is to have, as they are on the server."""
        if not kept.is_typed:
            return kept.columns
        name = kept.table.name
        return typed_tables.grown_columns(name, self._commits.columns.get(name), kept.columns).stored

    def _missing(self, kept: _Kept) -> LedgerSet:
        return self._buffer.ledgers - self._commits.covered(kept.table.name)

    def _refresh(self) -> None:
        self._commits.refresh()
        self._check_makings()

    def _check_makings(self) -> None:
        """Refuse tables that were written otherwise, and two that would be called the same."""
        found: dict[str, str] = {}
        for name in (*self._commits.tables, *(kept.table.name for kept in self._tables)):
            called = ddl.view_name(name)
            if (owner := found.setdefault(called, name)) != name:
                raise SchemaMismatch(
                    f"{called} is of {owner} already, and {name} would be it, too: leave one out"
                )
        for kept in self._tables:
            if there := self._commits.making(kept.table.name):
                kept.making.check(kept.table.name, there)

    def _covered(self) -> LedgerSet:
        first, *others = (self._commits.covered(kept.table.name) for kept in self._tables)
        for other in others:
            first &= other
        return first


def _kept(
    tables: Sequence[str], network: Network, where: Filter | None, *, decoded: bool, transfers: str
) -> list[_Kept]:
    found: list[_Kept] = []
    apart = "table: give each a database of its own"
    for asked, meant in meant_tables(tables, "the ClickHouse sink", apart=apart):
        columns = columns_of(meant, where or Filter(), decoded=decoded)
        if "ledger_sequence" not in columns.names:
            raise ConfigError(f"the ClickHouse sink needs ledger_sequence of {asked}: name it in select, too")
        making = Making(*making_texts(meant, network, where, decoded=decoded, transfers=transfers))
        found.append(_Kept(asked, meant, columns, making))
    return found
