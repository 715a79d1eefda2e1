"""What topics hold, whoever wrote them: tables, their ledgers, their rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Final

import pyarrow as pa
from confluent_kafka import Message

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import schema
from stellarrow.errors import Damaged, SinkError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.kafka.coverage import WINDOW, CoverageLog, Making, Window
from stellarrow.sinks.kafka.messages import rows_in

_IN_MEMORY: Final = 64 << 20  # bytes of a thousand ledgers, which may be gigabytes


@dataclass(frozen=True, slots=True)
class HeldTopic:
    """A table in a topic; `network` is a passphrase."""

    cluster: Cluster = field(repr=False)
    name: str
    making: Making
    ledgers: LedgerSet
    log: CoverageLog = field(repr=False, compare=False)
    typed: pa.Schema | None = field(default=None, repr=False, compare=False)  # a contract's own columns

    @property
    def version(self) -> str:
        return self.making.schema_version

    @property
    def network(self) -> str:
        return self.making.network

    @property
    def topic(self) -> str:
        return self.cluster.address.topic(self.name)

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""
        if self.typed is not None:
            return self.typed
        where = Filter(**json.loads(self.making.filter or "{}"))
        return schema(f"{self.name}@{self.version}", decoded=bool(self.making.decoded), where=where)

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order."""
        known = self.schema
        wanted = chosen_columns(known, columns, self.name)
        for window in self.log.windows(self.name, ledgers):
            due = window.ledgers & LedgerSet([ledgers])
            for value in self._in_order(window, due):
                for rows in rows_in(value, self.making.encoding, known):
                    yield rows.select(columns).cast(wanted)

    def _in_order(self, window: Window, due: LedgerSet) -> Iterator[bytes]:
        """Yield the messages of these ledgers in their order; on disk meanwhile, where they are many."""
        found: list[tuple[int, int, int]] = []  # ledger, position, size
        with SpooledTemporaryFile(_IN_MEMORY) as held:
            for message in self._messages(window):
                if (ledger := int(_header(message, "ledger"))) in due:
                    value = message.value() or b""
                    found.append((ledger, held.tell(), len(value)))
                    held.write(value)
            for _, position, size in sorted(found):
                held.seek(position)
                yield held.read(size)

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count by what each message says of itself, and compare with how many rows were written."""
        for part in ledgers:
            for window in self.log.windows(self.name, part):
                covered = LedgerRange(max(window.first, part.first), min(window.first + WINDOW - 1, part.end))
                yield self._counted(window, covered)

    def _counted(self, window: Window, covered: LedgerRange) -> RowCounts:
        rows: Counter[int] = Counter()
        for message in self._messages(window):
            ledger = int(_header(message, "ledger"))
            if ledger in window.ledgers:
                rows[ledger] += int(_header(message, "rows"))
        counted = sum(rows.values())
        within = {ledger: count for ledger, count in rows.items() if ledger in covered}
        if counted == window.rows:
            return RowCounts(covered, within)
        error = Damaged(
            f"topic {self.topic} has {counted} rows of ledgers {window.ledgers}, and {window.rows} were"
            f" written: {self._why(window)}"
        )
        return RowCounts(covered, within, error, window.ledgers & LedgerSet([covered]))

    def _why(self, window: Window) -> str:
        ends = self.cluster.ends(self.topic, list(window.offsets))
        if any(ends[partition][0] > first for partition, (first, _) in window.offsets.items()):
            return (
                "its retention removed the rest (retention.ms, retention.bytes), which is not written again"
            )
        return "write all of it to another topic_prefix"

    def _messages(self, window: Window) -> Iterator[Message]:
        """Yield the messages among which those of a window are."""
        if not window.offsets:
            return
        if self.topic not in self.cluster.topics([self.topic]):
            raise SinkError(f"topic {self.topic} is gone: write its ledgers to another topic_prefix")
        yield from self.cluster.messages(self.topic, window.offsets)


def held_topics(cluster: Cluster) -> list[HeldTopic]:
    """Return the tables of a topic_prefix."""
    log = CoverageLog(cluster)
    log.refresh()
    return [
        HeldTopic(cluster, name, making, log.covered(name), log, log.columns.get(name))
        for name in log.tables
        if (making := log.making(name))
    ]


def _header(message: Message, name: str) -> bytes:
    """Return what a message says of itself."""
    value = dict(message.headers() or ()).get(name)
    if isinstance(value, bytes):
        return value
    raise Damaged(
        f"topic {message.topic()} holds a message at offset {message.offset()} that no stellarrow wrote: let"
        " only stellarrow write there"
    )
