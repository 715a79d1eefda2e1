"""The sink: buffers batches, and commits rows and coverage in one transaction."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import pyarrow as pa

from stellarrow.core.tables import Table, columns_of, is_typed
from stellarrow.errors import LedgersRefused, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerSet, Network
from stellarrow.net.resilience import Guard, Policy
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.kafka.address import OPTIONS, Address
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.kafka.coverage import Columns, CoverageLog, Making, Offsets, Window, window_of
from stellarrow.sinks.kafka.failures import Fenced
from stellarrow.sinks.kafka.messages import Encoder, Headers
from stellarrow.sinks.kafka.reading import HeldTopic, held_topics
from stellarrow.sinks.kafka.topics import made_topics
from stellarrow.sinks.kafka.transaction import Tag, Writer
from stellarrow.sinks.transactional.batch_buffer import BatchBuffer
from stellarrow.sinks.transactional.makings import making_texts, meant_tables
from stellarrow.telemetry.metrics import Metrics

_log: Final = logging.getLogger(__name__)
_BUFFER_BYTES: Final = 32 << 20  # of Arrow, after which a transaction begins by itself
_TURNS: Final = 40  # that other writers may take before a transaction of ours gets through
_LONGEST_TURN: Final = 2.0  # seconds to wait for another's


@dataclass(frozen=True, slots=True)
class _Kept:
    """A table: `asked` as in the batches, and how it is written."""

    asked: str
    table: Table
    making: Making
    columns: pa.Schema | None  # of a contract's own table


@dataclass(slots=True)
class _Sent:
    """What a transaction holds of one table."""

    ledgers: LedgerSet
    rows: Counter[int] = field(default_factory=Counter)  # by the window they lie in


class KafkaSink:
    """Keep tables as topics. Rows and which ledgers they are of move in one transaction.

    A message holds a ledger's rows of a table. Readers must read committed messages only
    (isolation.level=read_committed), or they see rows of transactions that came to nothing. Writers of one
    `topic_prefix` take turns: each that begins a transaction ends those of others, who begin again with what
    is not covered by then. Opening it asks nothing of the brokers; coverage reads there, and only write and
    commit make topics.
    """

    def __init__(
        self,
        url: str | Cluster,
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
        self._cluster = Cluster(Address.parse(url)) if isinstance(url, str) else url
        address = self._cluster.address
        self._network = Network.of(network)
        self._tables = _kept(tables, address, self._network, where, decoded=decoded, transfers=transfers)
        self._guard = Guard(str(address), policy, metrics=metrics, stop=stop, refusal=SinkUnavailable)
        self._log = CoverageLog(self._cluster)
        self._buffer = BatchBuffer("the Kafka sink", [kept.asked for kept in self._tables])
        self._buffer_bytes = buffer_bytes
        self._writer: Writer | None = None
        self._encoders: dict[str, Encoder] = {}
        self._waits = policy is not None
        self._reached = self._told_of_others = False

    options: ClassVar[Mapping[str, str]] = OPTIONS

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> KafkaSink:
        """Open topics, as the registry does."""
        return cls(
            url,
            tables,
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
        )

    @classmethod
    def held(cls, url: str) -> list[HeldTopic]:
        """Return the tables that topics hold, whoever wrote them."""
        return held_topics(Cluster(Address.parse(url)))

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that contracts' own tables in topics have."""
        log = CoverageLog(Cluster(Address.parse(url)))
        log.refresh()
        return log.columns

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the brokers, for those who watch over them."""
        return (self._guard,)

    def health(self) -> Health:
        """Say whether brokers answer, without changing anything there."""
        return self._cluster.health()

    def write(self, batch: LedgerBatch) -> None:
        self._buffer.add(batch)
        if self._buffer.nbytes >= self._buffer_bytes:
            self._flush()

    def commit(self) -> None:
        self._flush()

    def coverage(self) -> LedgerSet:
        self._reach()
        if self._writer is None:
            self._guard.call("coverage", self._refresh)
        return self._covered()

    def close(self) -> None:
        self._buffer.clear()
        self._drop_writer()
        self._cluster.close()

    def _flush(self) -> None:
        """Commit what is buffered; what fails stays buffered, but for rows that are refused for good."""
        if not self._buffer:
            return
        self._reach()
        try:
            self._guard.call("flush", self._store)
        except LedgersRefused:
            self._buffer.clear()  # they are written again one by one, without the bad one
            raise
        self._buffer.clear()

    def _reach(self) -> None:
        """Connect the first time; without a policy, brokers that are not there are told at once."""
        if self._reached:
            return
        if self._waits:
            self._guard.call("open", self._cluster.names)
        else:
            self._cluster.names()
        self._reached = True

    def _store(self) -> None:
        """Commit, again where another writer took over: by then it may have written the same."""
        for turn in range(_TURNS):
            try:
                self._attempt()
                return
            except Fenced:
                self._drop_writer()
                self._tell_of_others()
                bound = min(_LONGEST_TURN, 0.02 * 2**turn)
                threading.Event().wait(random.uniform(0, bound))  # noqa: S311  not all at once
            except BaseException:
                self._drop_writer()
                raise
        raise SinkError(
            f"other writers took over topics {self._cluster.address.prefix}* of {self._cluster.address}"
            f" {_TURNS} times before a transaction got through: run fewer writers on one topic_prefix, or let"
            " each bring more ledgers at once"
        )

    def _attempt(self) -> None:
        writer = self._writer or self._take_over()
        missing = {kept.asked: self._missing(kept) for kept in self._tables}
        if not any(missing.values()):
            return
        columns = [*self._grown_columns([kept for kept in self._tables if missing[kept.asked]])]
        writer.begin()
        sent = {asked: self._send(writer, asked, ledgers) for asked, ledgers in missing.items() if ledgers}
        grown = list(self._grown(sent, writer.sent()))
        records = [(one.key, one.encode()) for one in grown] + [(one.key, one.encode()) for one in columns]
        for key, value in records:
            writer.send(self._cluster.address.coverage, key, value, [], None)
        writer.commit()
        for window in grown:
            self._log.apply(window)
        for one in columns:
            self._log.learn(one)

    def _grown_columns(self, due: Sequence[_Kept]) -> Iterator[Columns]:
        """Yield the records of columns that contracts' own tables get with what is to be sent."""
        for kept in due:
            schema = kept.columns
            if schema is not None and (grown := self._log.grown_columns(kept.table.name, schema)):
                yield grown

    def _grown(self, sent: Mapping[str, _Sent], spans: Mapping[Tag, Offsets]) -> Iterator[Window]:
        """Yield the records of coverage that belong to what was sent."""
        for kept in self._tables:
            if held := sent.get(kept.asked):
                offsets = {one[1]: span for one, span in spans.items() if one and one[0] == kept.asked}
                yield from self._log.grown(kept.table.name, kept.making, held.ledgers, held.rows, offsets)

    def _take_over(self) -> Writer:
        """Become the one writer, and see what others have written before."""
        topics = made_topics(self._cluster, [kept.table.name for kept in self._tables])
        address = self._cluster.address
        for kept in self._tables:
            headers: Headers = [
                ("table", kept.table.name.encode()),
                ("schema_version", kept.table.version.encode()),
                ("network", self._network.passphrase.encode()),
                ("encoding", address.encoding.encode()),
            ]
            topic = topics[kept.table.name]
            limit = topic.max_message_bytes
            self._encoders[kept.asked] = Encoder(topic.name, address.encoding, address.key, headers, limit)
        limits = [one.limit for one in self._encoders.values()]
        self._writer = Writer(self._cluster, message_bytes=max(limits), batch_bytes=min(limits))
        self._refresh()
        return self._writer

    def _missing(self, kept: _Kept) -> LedgerSet:
        return self._buffer.ledgers - self._log.covered(kept.table.name)

    def _send(self, writer: Writer, asked: str, missing: LedgerSet) -> _Sent:
        """Hand over each missing ledger's rows once."""
        encoder, sent = self._encoders[asked], _Sent(missing)
        for batch, part in self._buffer.parts(missing):
            for one in encoder.messages(batch.tables[asked], part):
                window = window_of(one.ledger)
                writer.send(encoder.topic, one.key, one.value, one.headers, (asked, window))
                sent.rows[window] += one.rows
        return sent

    def _refresh(self) -> None:
        """Read what is there; refuse topics that were written otherwise."""
        self._log.refresh()
        for kept in self._tables:
            if there := self._log.making(kept.table.name):
                kept.making.check(self._cluster.address.topic(kept.table.name), there)
        self._check_topics()

    def _check_topics(self) -> None:
        """Refuse two of contracts' own tables whose short names, and so their topics, are one."""
        found: dict[str, str] = {}
        for name in (*self._log.tables, *(kept.table.name for kept in self._tables)):
            topic = self._cluster.address.topic(name)
            if (owner := found.setdefault(topic, name)) != name:
                raise SchemaMismatch(
                    f"topic {topic} is of {owner} already, and {name} would be it, too: leave one out, or"
                    " give it a topic_prefix of its own"
                )

    def _covered(self) -> LedgerSet:
        first, *others = (self._log.covered(kept.table.name) for kept in self._tables)
        for other in others:
            first &= other
        return first

    def _drop_writer(self) -> None:
        if self._writer:
            self._writer.drop()
        self._writer = None

    def _tell_of_others(self) -> None:
        if not self._told_of_others:
            _log.info(
                "another writer writes to topics %s* of %s, too: taking turns with it",
                *(self._cluster.address.prefix, self._cluster.address),
            )
        self._told_of_others = True


def _kept(
    tables: Sequence[str],
    address: Address,
    network: Network,
    where: Filter | None,
    *,
    decoded: bool,
    transfers: str,
) -> list[_Kept]:
    apart = "topic: give each a topic_prefix of its own"
    return [
        _Kept(
            asked,
            meant,
            Making(
                *making_texts(meant, network, where, decoded=decoded, transfers=transfers),
                address.encoding,
                address.key,
            ),
            columns_of(meant, where or Filter(), decoded=decoded) if is_typed(asked) else None,
        )
        for asked, meant in meant_tables(tables, "the Kafka sink", apart=apart)
    ]
