"""What topics hold, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stellarrow.errors import SinkError
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.kafka.coverage import CoverageLog
from stellarrow.sinks.transactional.held_messages import HeldMessage, HeldMessages
from stellarrow.sinks.transactional.windows import Window


@dataclass(frozen=True, slots=True)
class HeldTopic(HeldMessages):
    """A table in a topic."""

    cluster: Cluster = field(repr=False)

    @property
    def topic(self) -> str:
        return self.cluster.address.topic(self.name)

    @property
    def place(self) -> str:
        return f"topic {self.topic}"

    def messages(self, window: Window) -> Iterator[HeldMessage]:
        if not window.offsets:
            return
        if self.topic not in self.cluster.topics([self.topic]):
            raise SinkError(f"topic {self.topic} is gone: write its ledgers to another topic_prefix")
        for one in self.cluster.messages(self.topic, window.offsets):
            where = f"at offset {one.offset()} of topic {self.topic}"
            yield HeldMessage.read(one.headers(), one.value(), where)

    def reason(self, window: Window) -> str:
        ends = self.cluster.ends(self.topic, list(window.offsets))
        if any(ends[partition][0] > first for partition, (first, _) in window.offsets.items()):
            return (
                "its retention removed the rest (retention.ms, retention.bytes), which is not written again"
            )
        return "write all of it to another topic_prefix"


def held_topics(cluster: Cluster) -> list[HeldTopic]:
    """Return the tables of a topic_prefix."""
    log = CoverageLog(cluster)
    log.refresh()
    return [
        HeldTopic(name, making, log.covered(name), log, cluster)
        for name in log.tables
        if (making := log.making(name))
    ]
