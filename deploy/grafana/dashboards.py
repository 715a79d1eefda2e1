"""What is on the dashboards: rows of panels, each with its Prometheus expressions by legend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_AT: Final = '{instance=~"$instance"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart over time, or one number; `unit` is Grafana's name of it."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    summary: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page, with its panels by row."""

    uid: str
    title: str
    summary: str
    rows: dict[str, tuple[Panel, ...]] = field(default_factory=dict)


def _rate(metric: str, by: str, labels: str = "") -> str:
    chosen = f'{{instance=~"$instance"{labels}}}'
    return f"sum by ({by}) (rate({metric}{chosen}[$__rate_interval]))"


def _slowest(metric: str, by: str, labels: str = "") -> str:
    return f"histogram_quantile(0.95, {_rate(f'{metric}_bucket', f'{by}, le', labels)})"


_SERVICES: Final = (
    Panel("Services that answer", {"": 'sum(up{job=~"stellarrow.*"})'}, is_number=True),
    Panel(
        "Parts that are not well", {"": f"count(component_healthy{_AT} == 0) or vector(0)"}, is_number=True
    ),
    Panel("Newest ledger", {"": f"max(current_ledger{_AT})"}, unit="none", is_number=True),
    Panel("Lag", {"": f"max(ledger_lag_seconds{_AT})"}, unit="s", is_number=True),
    Panel("Ledgers in quarantine", {"": f"sum(dead_letters{_AT})"}, is_number=True),
)
_MACHINE: Final = (
    Panel(
        "CPU",
        {"{{instance}}": _rate("process_cpu_seconds_total", "instance")},
        unit="none",
        summary="Cores in use.",
    ),
    Panel(
        "Memory",
        {
            "{{instance}}": f"process_resident_memory_bytes{_AT}",
            "{{instance}} may have": f"memory_limit_bytes{_AT}",
        },
        unit="bytes",
    ),
    Panel(
        "Disk of the state folder",
        {"{{instance}}": f"1 - state_disk_free_bytes{_AT} / state_disk_size_bytes{_AT}"},
        unit="percentunit",
    ),
)
_CALLS: Final = (
    Panel(
        "Breakers",
        {"{{instance}} {{name}}": f"circuit_breaker_state{_AT}"},
        summary="0 closed, 1 open, 2 half-open.",
    ),
    Panel(
        "Calls repeated",
        {"{{instance}} {{operation}}": _rate("retry_attempts_total", "instance, operation")},
        unit="ops",
    ),
    Panel("Connections made anew", {"{{instance}}": _rate("reconnections_total", "instance")}, unit="ops"),
)

DASHBOARDS: Final = (
    Dashboard(
        "stellarrow-overview",
        "stellarrow: overview",
        "Every service at a glance: do they answer, how far are they, what do they take.",
        {
            "Now": _SERVICES,
            "Ledgers": (
                Panel("Current ledger", {"{{job}} {{instance}}": f"current_ledger{_AT}"}, unit="none"),
                Panel("Lag", {"{{job}} {{instance}}": f"ledger_lag_seconds{_AT}"}, unit="s"),
                Panel(
                    "Ledgers a second",
                    {"{{job}} {{status}}": _rate("ledgers_processed_total", "job, status")},
                    unit="ops",
                ),
            ),
            "Machine": _MACHINE,
            "Calls to others": _CALLS,
        },
    ),
    Dashboard(
        "stellarrow-source",
        "stellarrow: source",
        "Ledgers out of a lake, a node or files: what comes in, what readers take.",
        {
            "Ledgers": (
                Panel(
                    "Ledgers received a second",
                    {"{{instance}}": _rate("ledgers_received_total", "instance")},
                    unit="ops",
                ),
                Panel(
                    "Bytes received a second",
                    {"{{instance}}": _rate("bytes_received_total", "instance")},
                    unit="Bps",
                ),
                Panel("Ledgers in the window", {"{{instance}}": f"queue_depth{_AT}"}),
            ),
            "Checks": (
                Panel(
                    "Time of a check, 95 %",
                    {
                        "{{instance}}": _slowest(
                            "processing_duration_seconds", "instance", ', operation="check"'
                        )
                    },
                    unit="s",
                ),
                Panel(
                    "Sound and quarantined",
                    {"{{status}}": _rate("ledgers_processed_total", "status")},
                    unit="ops",
                ),
            ),
            "Calls to others": _CALLS,
        },
    ),
    Dashboard(
        "stellarrow-processor",
        "stellarrow: processor",
        "Tables out of ledgers, in sessions: how fast, how far, who reads.",
        {
            "Sessions": (
                Panel(
                    "Ledgers a second",
                    {"{{instance}} {{status}}": _rate("ledgers_processed_total", "instance, status")},
                    unit="ops",
                ),
                Panel(
                    "Rows of contracts a second",
                    {"{{instance}}": _rate("contracts_found_total", "instance")},
                    unit="ops",
                ),
                Panel(
                    "Batches a second",
                    {"{{instance}}": _rate("batches_generated_total", "instance")},
                    unit="ops",
                ),
            ),
            "Time": (
                Panel(
                    "Decode and commit, 95 %",
                    {"{{operation}}": _slowest("processing_duration_seconds", "operation")},
                    unit="s",
                ),
                Panel("Slowest reader is behind", {"{{instance}}": f"queue_depth{_AT}"}, summary="Ledgers."),
            ),
            "Machine": _MACHINE,
        },
    ),
    Dashboard(
        "stellarrow-sinks",
        "stellarrow: sinks and coverage",
        "What becomes durable, how long it takes, what fails, what is missing.",
        {
            "Writes": (
                Panel(
                    "Time of a write, 95 %",
                    {"{{format}}": _slowest("export_duration_seconds", "format")},
                    unit="s",
                ),
                Panel(
                    "Writes that failed",
                    {"{{format}} {{error_type}}": _rate("export_errors_total", "format, error_type")},
                    unit="ops",
                ),
                Panel("Files written", {"{{format}}": _rate("files_written_total", "format")}, unit="ops"),
            ),
            "PostgreSQL": (
                Panel(
                    "Rows a second",
                    {
                        "received": _rate("postgresql_consumer_records_received_total", "instance"),
                        "stored": _rate("postgresql_consumer_records_inserted_total", "instance"),
                    },
                    unit="ops",
                ),
                Panel(
                    "Time of a batch, 95 %",
                    {
                        "{{instance}}": _slowest(
                            "postgresql_consumer_batch_insert_duration_seconds", "instance"
                        )
                    },
                    unit="s",
                ),
                Panel(
                    "Batches",
                    {
                        "stored": _rate("postgresql_consumer_batches_processed_total", "instance"),
                        "failed": _rate("postgresql_consumer_errors_total", "instance"),
                    },
                    unit="ops",
                ),
            ),
            "Coverage": (
                Panel(
                    "Last ledger that is durable",
                    {"{{job}} {{instance}}": f"current_ledger{_AT}"},
                    unit="none",
                ),
                Panel(
                    "Ledgers missing",
                    {"{{place}} {{table}}": f"missing_ledgers{_AT}"},
                    summary="Older than the newest one that is there, and not there.",
                ),
                Panel(
                    "Ledgers in quarantine",
                    {"{{instance}}": f"dead_letters{_AT}"},
                    summary="Each is a gap until it is retried.",
                ),
            ),
        },
    ),
    Dashboard(
        "stellarrow-analytics",
        "stellarrow: analytics",
        "Figures over windows of time, answers that are kept, exports, and how stored tables age.",
        {
            "Windows of 24 hours": (
                Panel(
                    "Of all together",
                    {"{{figure}}": 'analytics_window{instance=~"$instance", window="24h"}'},
                    unit="none",
                ),
                Panel("Transfers by asset", {"{{asset}}": f"analytics_asset_transfers{_AT}"}, unit="none"),
                Panel("Memory of figures", {"{{instance}}": f"analytics_state_bytes{_AT}"}, unit="bytes"),
            ),
            "Answers of aggregates": (
                Panel(
                    "Out of the cache, and computed",
                    {
                        "kept": _rate("query_cache_hits_total", "instance"),
                        "computed": _rate("query_cache_misses_total", "instance"),
                    },
                    unit="ops",
                ),
                Panel("Memory of the cache", {"{{instance}}": f"query_cache_bytes{_AT}"}, unit="bytes"),
            ),
            "Exports": (
                Panel(
                    "Time of an export, 95 %",
                    {"{{format}}": _slowest("export_duration_seconds", "format")},
                    unit="s",
                ),
                Panel(
                    "Exports that failed",
                    {"{{format}} {{error_type}}": _rate("export_errors_total", "format, error_type")},
                    unit="ops",
                ),
            ),
            "Lifecycle": (
                Panel(
                    "Ranges of files",
                    {"{{action}} {{status}}": _rate("lifecycle_ranges_total", "action, status")},
                    unit="ops",
                ),
                Panel(
                    "Bytes that left",
                    {"{{instance}}": _rate("lifecycle_freed_bytes_total", "instance")},
                    unit="Bps",
                ),
                Panel(
                    "Since the last run",
                    {"{{instance}}": f"time() - (lifecycle_last_run_timestamp_seconds{_AT} > 0)"},
                    unit="s",
                ),
            ),
        },
    ),
    Dashboard(
        "stellarrow-security",
        "stellarrow: security",
        "Who comes in, who is refused, and when certificates end.",
        {
            "Callers": (
                Panel(
                    "Credentials shown",
                    {"{{type}} {{status}}": _rate("auth_attempts_total", "type, status")},
                    unit="ops",
                ),
                Panel("Calls by key", {"{{key_id}}": _rate("api_key_usage_total", "key_id")}, unit="ops"),
                Panel(
                    "Refused as too fast",
                    {"{{name}}": _rate("rate_limit_rejections_total", "name")},
                    unit="ops",
                ),
            ),
            "Certificates": (
                Panel(
                    "Ends in",
                    {"{{instance}}": f"tls_certificate_expires_timestamp_seconds{_AT} - time()"},
                    unit="s",
                ),
            ),
        },
    ),
)
