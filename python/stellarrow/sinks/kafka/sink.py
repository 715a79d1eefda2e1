"""The sink: buffers batches, and commits rows and coverage in one transaction."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pyarrow as pa

from stellarrow.errors import SchemaMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerSet, Network
from stellarrow.net.resilience import Policy
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.kafka.address import OPTIONS, Address
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.kafka.coverage import Columns, CoverageLog, record_of
from stellarrow.sinks.kafka.reading import HeldTopic, held_topics
from stellarrow.sinks.kafka.topics import made_topics
from stellarrow.sinks.kafka.transaction import Tag, Writer
from stellarrow.sinks.transactional.ledger_messages import Encoder
from stellarrow.sinks.transactional.message_sink import BUFFER_BYTES, Kept, MessageSink, Place
from stellarrow.sinks.transactional.windows import Offsets, Window, window_of
from stellarrow.telemetry.metrics import Metrics


@dataclass(slots=True)
class _Sent:
    """What a transaction holds of one table."""

    ledgers: LedgerSet
    rows: Counter[int] = field(default_factory=Counter)  # by the window they lie in


class KafkaSink(MessageSink):
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
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._cluster = Cluster(Address.parse(url)) if isinstance(url, str) else url
        self._records = CoverageLog(self._cluster)
        super().__init__(
            _place(self._cluster.address),
            self._records,
            tables,
            network=network,
            where=where,
            decoded=decoded,
            transfers=transfers,
            policy=policy,
            metrics=metrics,
            stop=stop,
            buffer_bytes=buffer_bytes,
        )
        self._writer: Writer | None = None
        self._encoders: dict[str, Encoder] = {}

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

    def health(self) -> Health:
        """Say whether brokers answer, without changing anything there."""
        return self._cluster.health()

    def close(self) -> None:
        self._buffer.clear()
        self._let_go()
        self._cluster.close()

    def _ask(self) -> None:
        self._cluster.names()

    def _place(self, table: str) -> str:
        return f"topic {self._cluster.address.topic(table)}"

    def _is_alone(self) -> bool:
        return self._writer is not None  # who commits beside it ends it

    def _attempt(self) -> None:
        writer = self._writer or self._take_over()
        missing = {kept.asked: self._missing(kept) for kept in self._tables}
        if not any(missing.values()):
            return
        columns = [*self._grown_columns([kept for kept in self._tables if missing[kept.asked]])]
        writer.begin()
        sent = {asked: self._send(writer, asked, ledgers) for asked, ledgers in missing.items() if ledgers}
        grown = list(self._grown(sent, writer.sent()))
        for key, value in (*map(record_of, grown), *(one.record() for one in columns)):
            writer.send(self._cluster.address.coverage, key, value, [], None)
        writer.commit()
        for window in grown:
            self._records.apply(window)
        for one in columns:
            self._records.learn(one)

    def _grown_columns(self, due: Sequence[Kept]) -> Iterator[Columns]:
        """Yield the records of columns that contracts' own tables get with what is to be sent."""
        for kept in due:
            schema = kept.columns
            if schema is not None and (grown := self._records.grown_columns(kept.table.name, schema)):
                yield grown

    def _refresh(self) -> None:
        super()._refresh()
        self._check_topics()

    def _check_topics(self) -> None:
        """Refuse two of contracts' own tables whose short names, and so their topics, are one."""
        found: dict[str, str] = {}
        for name in (*self._records.tables, *(kept.table.name for kept in self._tables)):
            topic = self._cluster.address.topic(name)
            if (owner := found.setdefault(topic, name)) != name:
                raise SchemaMismatch(
                    f"topic {topic} is of {owner} already, and {name} would be it, too: leave one out, or"
                    " give it a topic_prefix of its own"
                )

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
            topic = topics[kept.table.name]
            self._encoders[kept.asked] = Encoder(
                f"topic {topic.name}",
                address.encoding,
                address.key,
                kept.headers(),
                topic.max_message_bytes,
                "the topic's max.message.bytes",
            )
        limits = [one.limit for one in self._encoders.values()]
        self._writer = Writer(self._cluster, message_bytes=max(limits), batch_bytes=min(limits))
        self._refresh()
        return self._writer

    def _send(self, writer: Writer, asked: str, missing: LedgerSet) -> _Sent:
        """Hand over each missing ledger's rows once."""
        encoder, sent = self._encoders[asked], _Sent(missing)
        topic = next(one.table.name for one in self._tables if one.asked == asked)
        for batch, part in self._buffer.parts(missing):
            for one in encoder.messages(batch.tables[asked], part):
                window = window_of(one.ledger)
                writer.send(
                    self._cluster.address.topic(topic), one.key, one.value, one.headers, (asked, window)
                )
                sent.rows[window] += one.rows
        return sent

    def _let_go(self) -> None:
        if self._writer:
            self._writer.drop()
        self._writer = None


def _place(address: Address) -> Place:
    return Place(
        "the Kafka sink",
        str(address),
        f"topics {address.prefix}*",
        "topic_prefix",
        "topic: give each a topic_prefix of its own",
        address.encoding,
        address.key,
    )
