"""What can be set, and what it is unless set: one class a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stellarrow.config.analytics import Analytics
from stellarrow.config.client import Client
from stellarrow.config.extract import NAMES, SPEC, SPECS, Extract
from stellarrow.config.lifecycle import Lifecycle
from stellarrow.config.parts import (
    COUNT,
    ON_ERROR,
    THREADS,
    Filtered,
    Flowctl,
    Logged,
    Ranged,
    Reached,
    Stored,
)
from stellarrow.config.security import Listening
from stellarrow.config.settings import Settings, setting
from stellarrow.config.sink_server import SinkServer
from stellarrow.config.values import (
    ADDRESS,
    DURATION,
    ENDPOINT,
    LIST,
    RPC_URLS,
    SECRET,
    TEXT,
    TRUTH,
    URL,
    choice,
    number,
)
from stellarrow.net.address import Address


@dataclass(frozen=True, kw_only=True)
class Source(Listening, Flowctl, Reached, Stored, Ranged, Logged):
    """Ledgers out of a lake, an RPC or files, for others."""

    source: str | None = setting(URL, None, "SOURCE", help="What to serve: a path, a URL, or LAKE,RPC.")
    rpc: tuple[str, ...] = setting(RPC_URLS, "", "RPC", help="RPC nodes, alone or after the source.")
    grpc_address: Address = setting(
        ADDRESS, ":50053", "GRPC_ADDRESS", "GRPC_PORT", help="Where gRPC listens."
    )
    flight_address: Address = setting(
        ADDRESS, ":8815", "FLIGHT_ADDRESS", "ARROW_PORT", help="Where Arrow Flight listens."
    )
    health_port: Address = setting(
        ADDRESS, ":8088", "HEALTH_PORT", help="Where HTTP listens: health and metrics."
    )
    max_memory_mb: int = setting(COUNT, "1024", "MAX_MEMORY_MB", help="Memory for data in flight.")


@dataclass(frozen=True, kw_only=True)
class Processor(Listening, Flowctl, Reached, Filtered, Ranged, Logged):
    """Tables out of ledgers, in sessions."""

    follow_source: bool = setting(
        TRUTH,
        "false",
        "FOLLOW_SOURCE",
        help="Without a start ledger, process all the source has, and follow.",
    )
    output_endpoint: str | None = setting(
        ENDPOINT,
        None,
        "OUTPUT_ENDPOINT",
        help="A Flight server that is sent the tables too, each ledger once.",
    )

    source: str | None = setting(URL, None, "SOURCE", help="Any source, instead of the endpoint.")
    source_endpoint: str = setting(
        ENDPOINT,
        "localhost:50053",
        "SOURCE_ENDPOINT",
        help="Where the ledgers' gRPC listens, or their Flight (flight://HOST:8815).",
    )
    grpc_address: Address = setting(
        ADDRESS, ":50054", "GRPC_ADDRESS", "GRPC_PORT", help="Where gRPC listens."
    )
    flight_address: Address = setting(
        ADDRESS, ":8816", "FLIGHT_ADDRESS", "ARROW_PORT", help="Where Arrow Flight listens."
    )
    health_port: Address = setting(
        ADDRESS, ":8089", "HEALTH_PORT", help="Where HTTP listens: health and metrics."
    )
    batch_size: int = setting(COUNT, "1000", "BATCH_SIZE", help="Rows of a batch.")
    worker_count: int = setting(THREADS, "4", "WORKER_COUNT", help="Decoding threads; a core stays free.")
    max_memory_mb: int = setting(COUNT, "1024", "MAX_MEMORY_MB", help="Memory for data in flight.")
    tables: tuple[str, ...] = setting(
        LIST,
        "contract_data@1.0,contract_data@2.0,contract_events,token_transfers,ledgers",
        "TABLES",
        help="What sessions keep; typed:C… is a contract's own tables.",
    )
    spec: tuple[str, ...] = setting(LIST, "", "SPEC", help=SPEC)
    specs: str | None = setting(TEXT, None, "SPECS", help=SPECS)
    name: tuple[str, ...] = setting(LIST, "", "CONTRACT_NAMES", help=NAMES)
    analytics_mb: int = setting(
        number(0), "192", "ANALYTICS_MB", help="Memory for figures over time windows; 0 keeps none."
    )
    spool_mb: int = setting(number(128), "4096", "SPOOL_MB", help="Disk for each session's output.")
    query_cache_mb: int = setting(
        number(0), "64", "QUERY_CACHE_MB", help="Memory for answers of aggregates; 0 keeps none."
    )
    spool_age: float | None = setting(DURATION, None, "SPOOL_AGE", help="How long it is kept at most.")
    reader_patience: float | None = setting(
        DURATION, None, "READER_PATIENCE", help="How long a full spool waits for one who takes nothing."
    )
    named_reader_patience: float = setting(
        DURATION,
        "24h",
        "NAMED_READER_PATIENCE",
        help="How long it waits for one that has a name and is away, where READER_PATIENCE is not set.",
    )
    on_error: str = setting(ON_ERROR, "stop", "ON_ERROR", help="At a bad ledger: stop, or put it aside.")
    shared_state: str | None = setting(
        URL,
        None,
        "SHARED_STATE",
        help="Where replicas share their sessions: postgres://…, s3://BUCKET/PREFIX or a folder.",
    )


@dataclass(frozen=True, kw_only=True)
class Consumer(Listening, Flowctl, Reached, Ranged, Logged):
    """Arrow Flight into PostgreSQL."""

    source: str | None = setting(URL, None, "SOURCE", help="Any source, instead of the Flight endpoint.")
    flight_endpoint: Address = setting(
        ADDRESS, "localhost:8816", "FLIGHT_ENDPOINT", help="The processor's Flight."
    )
    tables: tuple[str, ...] = setting(LIST, "contract_data", "DB_TABLES", help="What the database keeps.")
    database_url: str | None = setting(URL, None, "DATABASE_URL", help="One URL instead of the db settings.")
    db_host: str = setting(TEXT, "localhost", "DB_HOST", help="The database's host.")
    db_port: int = setting(number(1, 65_535), "5432", "DB_PORT", help="The database's port.")
    db_name: str = setting(TEXT, "stellar", "DB_NAME", help="The database's name.")
    db_user: str = setting(TEXT, "postgres", "DB_USER", help="Who logs in.")
    db_password: str | None = setting(SECRET, None, "DB_PASSWORD", help="With which password.")
    db_sslmode: str = setting(
        choice(("disable", "allow", "prefer", "require", "verify-ca", "verify-full")),
        "prefer",
        "DB_SSLMODE",
        help="How TLS is used.",
    )
    db_batch_size: int = setting(COUNT, "10000", "DB_BATCH_SIZE", help="Rows of a transaction at most.")
    db_flush_interval: float = setting(
        DURATION, "5s", "DB_FLUSH_INTERVAL", "COMMIT_INTERVAL", help="A transaction waits no longer."
    )
    metrics_port: Address = setting(ADDRESS, ":9090", "METRICS_PORT", help="HTTP: health, metrics, stats.")
    max_retries: int = setting(number(0), "5", "MAX_RETRIES", help="Tries before a batch is given up.")


SERVICES: Final[dict[str, type[Settings]]] = {
    "source": Source,
    "processor": Processor,
    "consumer": Consumer,
    "analytics": Analytics,
    "sink": SinkServer,
    "extract": Extract,
    "client": Client,
    "lifecycle": Lifecycle,
}
