"""The topic of coverage: compacted, with a record for each thousand ledgers of a table.

Of a contract's own table another record tells the columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import as_schema, written
from stellarrow.core.typed_columns import interfaces_of, united
from stellarrow.errors import ConfigError, Damaged, SchemaMismatch
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.transactional.windows import Offsets, Window, Windows, newer

REMEDY: Final = "choose another topic_prefix"
_COLUMNS: Final = "columns"  # behind a table's name, in the key of the record that tells them
_COLUMNS_FORMAT: Final = 2  # another, so that a release before says that it is too old


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that the rows of a contract's own table have by now."""

    table: str
    schema: pa.Schema

    def record(self) -> tuple[bytes, bytes]:
        """Return the key and the value of the record."""
        told = {
            "format": _COLUMNS_FORMAT,
            "table": self.table,
            "interfaces": interfaces_of(self.schema).split(","),
            "columns": written(self.schema),
        }
        value = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
        return f"{self.table}/{_COLUMNS}".encode(), value.encode()

    @classmethod
    def decode(cls, topic: str, value: bytes) -> Columns:
        """Read a record; what is none of ours is Damaged."""
        try:
            told: dict[str, Any] = json.loads(value)
            if told["format"] != _COLUMNS_FORMAT:
                raise newer(f"topic {topic}", REMEDY)
            return cls(told["table"], as_schema(told["table"], told["columns"]))
        except (ValueError, KeyError, TypeError, ConfigError) as error:
            raise Damaged(f"topic {topic} holds columns that no stellarrow wrote: {REMEDY}") from error


class CoverageLog(Windows):
    """What the topic of coverage said when it was read last; to be read on from there."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster
        self._topic = cluster.address.coverage
        self._next = 0  # offset

    def refresh(self) -> None:
        topic = self._cluster.topics([self._topic]).get(self._topic)
        if topic is None:
            self.forget()
            return
        if not topic.is_compacted or topic.partitions != 1:
            raise SchemaMismatch(
                f"topic {self._topic} cannot keep coverage: it needs one partition and"
                f" cleanup.policy=compact; change that, or {REMEDY}"
            )
        low, end = self._cluster.settled_ends(self._topic, 0)
        if end < self._next:  # somebody made it anew
            self.forget()
        for message in self._cluster.messages(self._topic, {0: (max(low, self._next), end)}):
            if not (value := message.value()):
                continue
            key = (message.key() or b"").decode(errors="replace")
            if key.endswith(f"/{_COLUMNS}"):
                self.learn(Columns.decode(self._topic, value))
            else:
                place = f"topic {self._topic}"
                self.apply(Window.decode(key, value, _offsets, place=place, remedy=REMEDY))
        self._next = end

    def learn(self, columns: Columns) -> None:
        """Take over a record of columns that was committed."""
        self.columns[columns.table] = columns.schema

    def grown_columns(self, table: str, schema: pa.Schema) -> Columns | None:
        """Return the record that a transaction writes where a table has not all of these columns yet."""
        held = self.columns.get(table)
        whole = schema if held is None else united([held, schema])
        return None if held is not None and written(held) == written(whole) else Columns(table, whole)

    def forget(self) -> None:
        super().forget()
        self._next = 0


def record_of(window: Window) -> tuple[bytes, bytes]:
    """Return the key and the value of a record."""
    offsets = {str(partition): span for partition, span in sorted(window.offsets.items())}
    return f"{window.table}/{window.first:010d}".encode(), window.encode(offsets=offsets)


def _offsets(told: Any) -> Offsets:
    return {int(partition): (first, end) for partition, (first, end) in told["offsets"].items()}
