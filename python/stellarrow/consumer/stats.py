"""What a consumer counts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from stellarrow.telemetry.metrics import Metrics


class ConsumerMetrics:
    """The consumer's own metrics, as dashboards know them, beside those that all services have."""

    def __init__(self, common: Metrics) -> None:
        registry = common.registry
        self.common = common

        def counter(name: str, to_dict: str) -> Counter:
            return Counter(f"postgresql_consumer_{name}", to_dict, registry=registry)

        self.received = counter("records_received", "Rows that arrived.")
        self.inserted = counter("records_inserted", "Rows that were stored.")
        self.batches = counter("batches_processed", "Batches that were stored.")
        self.errors = counter("errors", "Batches or streams that failed.")
        self.seconds = Histogram(
            "postgresql_consumer_batch_insert_duration_seconds", "Time a batch took.", registry=registry
        )
        self.batch_size = Gauge(
            "postgresql_consumer_batch_size", "Rows of the last batch.", registry=registry
        )


@dataclass(slots=True)
class Stats:
    """What a consumer has done since it started."""

    records_received: int = 0
    records_inserted: int = 0
    batches_processed: int = 0
    errors: int = 0
    last_ledger: int | None = None
    committed_ledger: int | None = None
    last_error: str | None = None
    reconnections: int = 0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def together(cls, parts: Collection[Stats]) -> Stats:
        """Add up what consumers of several tables did; a ledger is one that all of them have come to."""
        return cls(
            records_received=sum(one.records_received for one in parts),
            records_inserted=sum(one.records_inserted for one in parts),
            batches_processed=sum(one.batches_processed for one in parts),
            errors=sum(one.errors for one in parts),
            last_ledger=least(one.last_ledger for one in parts),
            committed_ledger=least(one.committed_ledger for one in parts),
            last_error=next((one.last_error for one in parts if one.last_error), None),
            reconnections=sum(one.reconnections for one in parts),
            began=min(one.began for one in parts),
        )

    def to_dict(self) -> dict[str, Any]:
        seconds = time.monotonic() - self.began
        return {
            "records_received": self.records_received,
            "records_inserted": self.records_inserted,
            "batches_processed": self.batches_processed,
            "errors": self.errors,
            "last_ledger": self.last_ledger,
            "committed_ledger": self.committed_ledger,
            "last_error": self.last_error,
            "reconnections": self.reconnections,
            "uptime_seconds": round(seconds, 3),
            "records_per_second": round(self.records_inserted / max(seconds, 1e-9), 1),
        }


def least(ledgers: Iterable[int | None]) -> int | None:
    found = list(ledgers)
    return None if None in found else min(one for one in found if one is not None)
