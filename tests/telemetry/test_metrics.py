from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow import registry
from stellarrow.core.framing import frame
from stellarrow.sources.stdin import StdinSource
from stellarrow.telemetry.metrics import Metrics

# The names dashboards know, of which prometheus text shows the family without labels too.
NAMES = [
    *("ledgers_processed_total", "batches_generated_total", "processing_duration_seconds"),
    *("current_ledger", "files_written_total", "export_errors_total"),
    *("export_duration_seconds", "circuit_breaker_state", "retry_attempts_total"),
    *("bulkhead_rejections_total", "rate_limit_rejections_total", "auth_attempts_total"),
    *("api_key_usage_total", "ledgers_received_total", "bytes_received_total"),
    *("contracts_found_total", "reconnections_total", "queue_depth"),
    *("ledger_lag_seconds",),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_has_the_name_dashboards_know(name: str) -> None:
    assert f"# TYPE {name} " in Metrics().text().decode()


def test_two_pipelines_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.reconnections.inc()
    assert other.registry.get_sample_value("reconnections_total") == 0.0


def counted(metrics: Metrics) -> tuple[float | None, float | None]:
    value = metrics.registry.get_sample_value
    return value("ledgers_received_total"), value("bytes_received_total")


def test_files_count_the_ledgers_they_bring_and_the_bytes_as_they_lie(make_lake: Callable[..., Path]) -> None:
    lake, metrics = make_lake(), Metrics()
    stored = sum(path.stat().st_size for path in lake.rglob("*.xdr.zst"))
    source = registry.open_source(str(lake), metrics=metrics)
    assert sum(1 for _ in source.read(sa.LedgerRange(100, 139))) == 40
    assert counted(metrics) == (40, stored)


def test_stdin_counts_what_comes(ledgers: tuple[bytes, ...]) -> None:
    data = frame(ledgers[:3], "record-marked")
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    metrics = Metrics()
    assert sum(1 for _ in StdinSource(read, metrics=metrics).read(sa.LedgerRange(100))) > 0
    os.close(read)
    assert counted(metrics) == (3, len(data))


def test_the_lag_grows_while_nothing_comes() -> None:
    metrics = Metrics()
    metrics.lags_behind(0)
    first, second = (metrics.registry.get_sample_value("ledger_lag_seconds") or 0 for _ in range(2))
    assert 0 < first < second
