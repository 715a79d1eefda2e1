"""The counters and gauges that dashboards know, in a registry of their own."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Every metric of one pipeline or service; each has a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        # The client library adds _total to a counter's name.
        self.ledgers_processed = Counter(
            "ledgers_processed", "Ledgers decoded.", ["source_type", "status"], registry=registry
        )
        self.batches_generated = Counter(
            "batches_generated", "Record batches made.", ["source_type"], registry=registry
        )
        self.processing_duration = Histogram(
            "processing_duration_seconds",
            "Time an operation took.",
            ["source_type", "operation"],
            registry=registry,
        )
        self.current_ledger = Gauge(
            "current_ledger", "The last ledger that went through.", ["source_type"], registry=registry
        )
        self.files_written = Counter("files_written", "Files written.", ["format"], registry=registry)
        self.export_errors = Counter(
            "export_errors", "Writes that failed.", ["format", "error_type"], registry=registry
        )
        self.export_duration = Histogram(
            "export_duration_seconds", "Time a write took.", ["format"], registry=registry
        )
        self.ledgers_received = Counter("ledgers_received", "Ledgers that arrived.", registry=registry)
        self.bytes_received = Counter("bytes_received", "Bytes that arrived.", registry=registry)
        self.contracts_found = Counter("contracts_found", "Rows of contracts found.", registry=registry)
        self.reconnections = Counter("reconnections", "Connections made anew.", registry=registry)
        self.source_stand_ins = Counter(
            "source_stand_ins",
            "Times that one source stood in for another.",
            ["source"],
            registry=registry,
        )
        self.queue_depth = Gauge("queue_depth", "Ledgers waiting.", registry=registry)
        self.reader_lag = Gauge(
            "reader_lag_ledgers", "Ledgers a reader is behind.", ["reader", "table"], registry=registry
        )
        self.missing_ledgers = Gauge(
            "missing_ledgers",
            "Ledgers that a place should have and lacks.",
            ["place", "table"],
            registry=registry,
        )
        self.ledger_lag = Gauge(
            "ledger_lag_seconds", "Age of the last ledger that went through.", registry=registry
        )
        self.circuit_breaker_state = Gauge(
            "circuit_breaker_state", "0 closed, 1 open, 2 half-open.", ["name"], registry=registry
        )
        self.retry_attempts = Counter(
            "retry_attempts", "Calls tried again.", ["operation"], registry=registry
        )
        self.bulkhead_rejections = Counter(
            "bulkhead_rejections", "Calls for which there was no room in time.", ["name"], registry=registry
        )
        self.rate_limit_rejections = Counter(
            "rate_limit_rejections", "Calls that would have gone too fast.", ["name"], registry=registry
        )
        self.auth_attempts = Counter(
            "auth_attempts", "Clients that showed who they are.", ["type", "status"], registry=registry
        )
        self.query_cache_hits = Counter(
            "query_cache_hits", "Aggregates answered out of the cache.", registry=registry
        )
        self.query_cache_misses = Counter(
            "query_cache_misses", "Aggregates that had to be computed.", registry=registry
        )
        self.query_cache_evictions = Counter(
            "query_cache_evictions", "Answers that made room for others.", registry=registry
        )
        self.query_cache_bytes = Gauge(
            "query_cache_bytes", "Bytes of the answers that are kept.", registry=registry
        )
        self.api_key_usage = Counter("api_key_usage", "Calls made with a key.", ["key_id"], registry=registry)

        self._add_lifecycle(registry)
        self._add_figures(registry)

    def _add_lifecycle(self, registry: CollectorRegistry) -> None:
        self._lifecycle_ranges = Counter(
            "lifecycle_ranges", "Ranges of files that aged.", ["action", "status"], registry=registry
        )
        self._lifecycle_freed = Counter(
            "lifecycle_freed_bytes", "Bytes that left stored tables.", registry=registry
        )
        self._lifecycle_runs = Counter(
            "lifecycle_runs", "Runs, by how they ended.", ["state"], registry=registry
        )
        self._lifecycle_last = Gauge(
            "lifecycle_last_run_timestamp_seconds", "When a run ended without a problem.", registry=registry
        )

    def lifecycle_took(self, action: str, *, failed: bool, freed: int) -> None:
        """Count a step of a lifecycle run."""
        self._lifecycle_ranges.labels(action, "failure" if failed else "success").inc()
        self._lifecycle_freed.inc(freed)

    def lifecycle_ended(self, state: str) -> None:
        """Count a lifecycle run that ended: done, stopped or failed."""
        self._lifecycle_runs.labels(state).inc()
        if state == "done":
            self._lifecycle_last.set_to_current_time()

    def _add_figures(self, registry: CollectorRegistry) -> None:
        """Add what figures over time windows show: of all together, and of the foremost assets alone."""

        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            return Gauge(f"analytics_{name}", help_text, labels, registry=registry)

        self.figures_ledger = gauge("last_ledger", "The last ledger that figures include.")
        self.figures_bytes = gauge("state_bytes", "Memory that figures take, about.")
        self.figures = gauge("window", "A figure of all together in the open window.", "figure", "window")
        self.asset_transfers = gauge("asset_transfers", "Transfers of the foremost assets, in 24h.", "asset")
        self.asset_volume = gauge("asset_volume", "What the foremost assets moved, in 24h.", "asset")

    def received(self, ledgers: int, size: int) -> None:
        """Count what a source got, in bytes as they came."""
        self.ledgers_received.inc(ledgers)
        self.bytes_received.inc(size)

    def lags_behind(self, closed_at: float) -> None:
        """Tell when the last ledger closed, in unix seconds: from now on the lag grows with the time."""
        self.ledger_lag.set_function(lambda: max(0.0, time.time() - closed_at))

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)
