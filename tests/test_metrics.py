from __future__ import annotations

import pytest

from stellarrow.metrics import Metrics

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
