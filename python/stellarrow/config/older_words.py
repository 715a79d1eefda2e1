"""The older components' words in their settings files, and what they are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MEMORY: Final = "memory is bounded by max_memory_mb"
_ITSELF: Final = "that is found out by itself"
_ALWAYS: Final = "that is always so"
_MESSAGES: Final = "batches are cut by what a message holds"
_CLIENTS: Final = "each client chooses by the call header compression"
SINK: Final = "`stellarrow sink serve` with the same file has it"
ANALYTICS: Final = "the analytics service has it"

# By component: its words for settings of ours, and those that need no setting, each with why.
RENAMED: Final[Mapping[str, Mapping[str, str]]] = {
    "source": {"flight_port": "flight_address", "concurrent_readers": "fetchers"},
    "processor": {
        "flight_port": "flight_address",
        "processing_workers": "worker_count",
        "processor_threads": "worker_count",
    },
    "analytics": {
        "flight_port": "flight_address",
        "processor_endpoint": "source_endpoint",
        "output_formats": "export_formats",
        "max_websocket_connections": "max_connections",
        "api_port": "rest_port",
    },
}
SILENT: Final[Mapping[str, Mapping[str, str]]] = {
    "source": {
        "batch_size": _MESSAGES,
        "buffer_size": _MEMORY,
        "processing_timeout": "calls are given up by rules of their own (docs/reliability.md)",
        "aws_region": "the bucket tells its region; AWS_REGION says another",
        "gcp_project": "the bucket alone is enough",
        "ledgers_per_file": "a lake tells how it is laid out",
        "files_per_partition": "a lake tells how it is laid out",
        "archive_url": "history archives are no source of ledgers with their effects",
        "core_binary_path": "stellar-core is not run",
        "arrow_memory_pool": _ITSELF,
        "compression": _CLIENTS,
        "metrics_enabled": _ALWAYS,
    },
    "processor": {
        "buffer_size": _MEMORY,
        "compute_threads": _ITSELF,
        "memory_pool": _ITSELF,
        "include_raw_xdr": "raw ledgers are had from the source's Flight",
        "include_transaction_details": _ALWAYS,
        "deduplicate_events": _ALWAYS,
        "metrics_enabled": _ALWAYS,
        "stats_interval": "/metrics and /sessions answer at any time",
    },
    "analytics": {
        **dict.fromkeys(("parquet_path", "json_path", "csv_path", "parquet_compression"), SINK),
        **dict.fromkeys(("export_formats", "output_formats", "partition_by", "flight_port"), SINK),
        "parquet_batch_size": "row groups have 16,384 rows, a file 1,000 ledgers",
        "json_format": "JSON is written as lines",
        "csv_delimiter": "CSV has commas",
        "buffer_size": _MEMORY,
        "writer_threads": _ITSELF,
        "flush_interval": "what comes is durable before it is acknowledged",
        "real_time_analytics": _ALWAYS,
        "analytics_window": "figures are there for every window",
        "metrics_enabled": _ALWAYS,
        "websocket_port": ANALYTICS,
        "websocket_path": ANALYTICS,
        "max_connections": ANALYTICS,
        "rest_port": ANALYTICS,
        "api_cache_size": ANALYTICS,
    },
}
SECURITY: Final[Mapping[str, str]] = {
    "cert_file": "tls_certificate",
    "key_file": "tls_key",
    "ca_file": "tls_client_ca",
    "authz_enabled": "authz",
}
SECURITY_SILENT: Final[Mapping[str, str]] = {
    "server_name": "clients check the name in the certificate",
    "api_keys_file": "keys are made by `stellarrow keys create`",
    "authz_provider": "roles are admin, reader and processor",
    "roles_file": "roles are admin, reader and processor",
    "cors_methods": "each address allows what it offers",
    "cors_headers": "each address allows what it takes",
    "rate_limit_burst": "a second's calls may come at once",
}
RESILIENCE: Final = (
    *("circuit_breaker_enabled", "circuit_breaker_threshold", "circuit_breaker_timeout"),
    *("circuit_breaker_reset_time", "retry_enabled", "retry_max_attempts", "retry_initial_delay"),
    *("retry_max_delay", "retry_multiplier", "retry_jitter", "default_timeout", "ledger_timeout"),
    *("connection_timeout", "health_check_enabled", "health_check_interval", "health_check_timeout"),
    *("bulkhead_enabled", "max_concurrent_rpc", "max_concurrent_data", "rate_limit_enabled"),
    *("rate_limit_rps", "rate_limit_burst"),
)
RULES: Final = "calls are retried, broken off and limited by rules of their own (docs/reliability.md)"
AUTH: Final = {"mutual_tls": "mtls", "mtls": "mtls", "api_key": "api_key", "jwt": "jwt"}
KEY_HEADERS: Final = ("authorization", "x-api-key")
KINDS: Final = ("rpc", "datalake", "storage", "bufferedstorage")
BUCKETS: Final = ("s3_bucket", "bucket_name", "storage_path")
# Words that tell whose a file is, beside those that are translated.
OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "source": ("source_type", "backend_type", "rpc_endpoint", "storage_backend", *BUCKETS),
    "processor": ("asset_filters", "amount_filters", "event_types", "include_assets", "output_endpoint"),
    "analytics": (*("parquet_path", "json_path", "csv_path", "parquet_compression"), "partition_by"),
}
