"""Which ledgers a table has: a record for each thousand ledgers in a compacted topic, beside the rows.

A record is written in the transaction of the rows it tells of, and replaces the one before it of its key. It
also tells at which offsets these rows lie, so that a range can be read without reading all. Of a contract's
own table another record tells the columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import as_schema, written
from stellarrow.core.typed_columns import interfaces_of, united
from stellarrow.errors import ConfigError, Damaged, SchemaMismatch
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.transactional.makings import check_made_alike

WINDOW: Final = 1_000  # ledgers that one record tells of
_FORMAT: Final = 1
_COLUMNS: Final = "columns"  # behind a table's name, in the key of the record that tells them
_COLUMNS_FORMAT: Final = 2  # another, so that a release before says that it is too old

Offsets = Mapping[int, tuple[int, int]]  # of a partition, the first and the one after the last


@dataclass(frozen=True, slots=True)
class Making:
    """What rows are made from, and how messages are: texts that must stay the same in a topic."""

    schema_version: str
    network: str
    filter: str
    decoded: str
    transfers: str
    encoding: str
    key: str

    def check(self, topic: str, there: Making) -> None:
        """Refuse a topic that was written otherwise."""
        remedy = "choose another topic_prefix"
        check_made_alike(self.__slots__, self, there, place=f"topic {topic}", remedy=remedy)


@dataclass(frozen=True, slots=True)
class Window:
    """What is there of the ledgers of one record."""

    table: str
    first: int
    making: Making
    ledgers: LedgerSet
    rows: int
    offsets: Offsets

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{self.table}/{self.first:010d}".encode()

    def grown(self, ledgers: LedgerSet, rows: int, offsets: Offsets) -> Window:
        """Return what there is with more ledgers."""
        spans = dict(self.offsets)
        for partition, (first, end) in offsets.items():
            before = spans.get(partition, (first, end))
            spans[partition] = (min(first, before[0]), max(end, before[1]))
        return Window(self.table, self.first, self.making, self.ledgers | ledgers, self.rows + rows, spans)

    def encode(self) -> bytes:
        """Return the record."""
        told = {
            "format": _FORMAT,
            "table": self.table,
            **{fact: getattr(self.making, fact) for fact in Making.__slots__},
            "ledgers": [[part.first, part.end] for part in self.ledgers],
            "rows": self.rows,
            "offsets": {str(partition): span for partition, span in sorted(self.offsets.items())},
        }
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, topic: str, key: bytes, value: bytes) -> Window:
        """Read a record; what is none of ours is Damaged."""
        try:
            told: dict[str, Any] = json.loads(value)
            if told["format"] != _FORMAT:
                raise _newer(topic)
            return cls(
                told["table"],
                int(key.decode().rpartition("/")[2]),
                Making(**{fact: told[fact] for fact in Making.__slots__}),
                LedgerSet(LedgerRange(first, last) for first, last in told["ledgers"]),
                told["rows"],
                {int(partition): (first, end) for partition, (first, end) in told["offsets"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(
                f"topic {topic} holds a record that no stellarrow wrote ({str(key)[:60]}): delete it, or"
                " choose another topic_prefix"
            ) from error


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that the rows of a contract's own table have by now."""

    table: str
    schema: pa.Schema

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{self.table}/{_COLUMNS}".encode()

    def encode(self) -> bytes:
        """Return the record."""
        told = {
            "format": _COLUMNS_FORMAT,
            "table": self.table,
            "interfaces": interfaces_of(self.schema).split(","),
            "columns": written(self.schema),
        }
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def decode(cls, topic: str, value: bytes) -> Columns:
        """Read a record; what is none of ours is Damaged."""
        try:
            told: dict[str, Any] = json.loads(value)
            if told["format"] != _COLUMNS_FORMAT:
                raise _newer(topic)
            return cls(told["table"], as_schema(told["table"], told["columns"]))
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise Damaged(
                f"topic {topic} holds columns that no stellarrow wrote: choose another topic_prefix"
            ) from error


def _newer(topic: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"topic {topic} was written by a newer stellarrow: update this one, or choose another topic_prefix"
    )


class CoverageLog:
    """What the topic of coverage said when it was read last; to be read on from there."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._topic = cluster.address.coverage
        self._next = 0  # offset
        self._windows: dict[str, dict[int, Window]] = {}
        self._covered: dict[str, LedgerSet] = {}
        self.columns: dict[str, pa.Schema] = {}  # of contracts' own tables

    @property
    def tables(self) -> list[str]:
        """The tables that are there, sorted."""
        return sorted(self._windows)

    def refresh(self) -> bool:
        """Read what was committed since; tell whether the topic is there."""
        topic = self._cluster.topics([self._topic]).get(self._topic)
        if topic is None:
            self._forget()
            return False
        if not topic.is_compacted or topic.partitions != 1:
            raise SchemaMismatch(
                f"topic {self._topic} cannot keep coverage: it needs one partition and"
                " cleanup.policy=compact; change that, or choose another topic_prefix"
            )
        low, end = self._cluster.settled_ends(self._topic, 0)
        if end < self._next:  # somebody made it anew
            self._forget()
        for message in self._cluster.messages(self._topic, {0: (max(low, self._next), end)}):
            if not (value := message.value()):
                continue
            key = message.key() or b""
            if key.endswith(f"/{_COLUMNS}".encode()):
                self.learn(Columns.decode(self._topic, value))
            else:
                self.apply(Window.decode(self._topic, key, value))
        self._next = end
        return True

    def apply(self, window: Window) -> None:
        """Take over a record that was committed."""
        self._windows.setdefault(window.table, {})[window.first] = window
        self._covered[window.table] = self.covered(window.table) | window.ledgers

    def learn(self, columns: Columns) -> None:
        """Take over a record of columns that was committed."""
        self.columns[columns.table] = columns.schema

    def grown_columns(self, table: str, schema: pa.Schema) -> Columns | None:
        """Return the record that a transaction writes where a table has not all of these columns yet."""
        held = self.columns.get(table)
        whole = schema if held is None else united([held, schema])
        return None if held is not None and written(held) == written(whole) else Columns(table, whole)

    def covered(self, table: str) -> LedgerSet:
        """Return the ledgers that are there of a table."""
        return self._covered.get(table, LedgerSet())

    def making(self, table: str) -> Making | None:
        """Return how a table's topic was written, None where it was not yet."""
        return next((one.making for one in self._windows.get(table, {}).values()), None)

    def windows(self, table: str, ledgers: LedgerRange) -> Iterator[Window]:
        """Yield the records that tell of some of these ledgers, in their order."""
        held = self._windows.get(table, {})
        wanted = LedgerSet([ledgers])
        for first in sorted(
            first for first in held if first <= ledgers.end and ledgers.first < first + WINDOW
        ):
            if held[first].ledgers & wanted:
                yield held[first]

    def grown(
        self,
        table: str,
        making: Making,
        ledgers: LedgerSet,
        rows: Mapping[int, int],
        offsets: Mapping[int, Offsets],
    ) -> Iterator[Window]:
        """Yield the records that a transaction writes: rows and offsets are by the window they lie in."""
        for first in sorted({start for part in ledgers for start in _starts(part)}):
            there = self._windows.get(table, {}).get(first) or Window(
                table, first, making, LedgerSet(), 0, {}
            )
            part = ledgers & LedgerSet([LedgerRange(first, first + WINDOW - 1)])
            yield there.grown(part, rows.get(first, 0), offsets.get(first, {}))

    def _forget(self) -> None:
        self._next = 0
        self._windows, self._covered, self.columns = {}, {}, {}


def window_of(ledger: int) -> int:
    """Return the first ledger of the record that tells of a ledger."""
    return ledger - ledger % WINDOW


def _starts(part: LedgerRange) -> range:
    return range(window_of(part.first), part.end + 1, WINDOW)
