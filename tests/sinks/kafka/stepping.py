"""A cluster whose clients say before each operation that leaves a trace that one is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from stellarrow.sinks.kafka import cluster
from stellarrow.sinks.kafka.address import Address
from stellarrow.sinks.kafka.cluster import Cluster


def stepping_cluster(url: str, step: Callable[[], None]) -> Cluster:
    """Return a cluster for another process, which does not outlive its steps."""

    class SteppingProducer(Producer):
        def init_transactions(self, timeout: float = -1) -> None:
            step()
            super().init_transactions(timeout)

        def produce(self, *given: Any, **named: Any) -> None:
            step()
            super().produce(*given, **named)

        def flush(self, timeout: float = -1) -> int:
            step()
            return super().flush(timeout)

        def commit_transaction(self, timeout: float = -1) -> None:
            step()
            super().commit_transaction(timeout)

    class SteppingCluster(Cluster):
        def create(self, *given: Any, **named: Any) -> None:
            step()
            super().create(*given, **named)

    vars(cluster)["Producer"] = SteppingProducer
    return SteppingCluster(Address.parse(url))
