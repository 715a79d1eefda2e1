"""The topic of coverage: compacted, with a record for each thousand ledgers of a table."""

from __future__ import annotations

from typing import Any, Final

from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.transactional.windows import Offsets, Window, Windows

REMEDY: Final = "choose another topic_prefix"


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
            if value := message.value():
                key = (message.key() or b"").decode(errors="replace")
                place = f"topic {self._topic}"
                self.apply(Window.decode(key, value, _offsets, place=place, remedy=REMEDY))
        self._next = end

    def forget(self) -> None:
        super().forget()
        self._next = 0


def record_of(window: Window) -> tuple[bytes, bytes]:
    """Return the key and the value of a record."""
    offsets = {str(partition): span for partition, span in sorted(window.offsets.items())}
    return f"{window.table}/{window.first:010d}".encode(), window.encode(offsets=offsets)


def _offsets(told: Any) -> Offsets:
    return {int(partition): (first, end) for partition, (first, end) in told["offsets"].items()}
