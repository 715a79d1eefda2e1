"""What can be set, and what it is unless set: one class a service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellarrow.config.client import Client
from stellarrow.config.security import Listening
from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import (
    ADDRESS,
    DURATION,
    ENDPOINT,
    FILE,
    FOLDER,
    HEADERS,
    LIST,
    NETWORK,
    PERIOD,
    RPC_URLS,
    SECRET,
    TEXT,
    TOKEN,
    TRUTH,
    URL,
    URLS,
    choice,
    number,
)
from stellarrow.config.wanted import Filtered, Ranged
from stellarrow.net.address import Address
from stellarrow.net.client_tls import ClientTls
from stellarrow.net.credentials import ClientCredentials, SourceAccess

_COUNT = number(1)
_ON_ERROR = choice(
    ("stop", "quarantine"),
    {
        **dict.fromkeys(("fail", "abort", "halt"), "stop"),
        **dict.fromkeys(("dlq", "dead-letter", "dead-letters", "quarantined"), "quarantine"),
    },
)
_LOG_LEVEL = choice(
    ("debug", "info", "warning", "error"),
    {
        **dict.fromkeys(("trace", "verbose", "all", "dbg", "10"), "debug"),
        **dict.fromkeys(("information", "informational", "notice", "inf", "20"), "info"),
        **dict.fromkeys(("warn", "wrn", "30"), "warning"),
        **dict.fromkeys(
            ("err", "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "severe"), "error"
        ),
    },
)
_LOG_FORMAT = choice(
    ("json", "console"), dict.fromkeys(("text", "plain", "pretty", "human", "logfmt"), "console")
)


@dataclass(frozen=True, kw_only=True)
class _Logged(Settings):
    """What everything that runs for long has."""

    network: str | None = setting(
        NETWORK, None, "NETWORK_PASSPHRASE", help="pubnet, testnet, futurenet or a passphrase."
    )
    state_dir: Path = setting(FOLDER, "./stellarrow-state", "STATE_DIR", help="Sessions, dead letters.")
    log_level: str = setting(_LOG_LEVEL, "info", "LOG_LEVEL", help="What is worth a line.")
    log_format: str | None = setting(
        _LOG_FORMAT,
        None,
        "LOG_FORMAT",
        help="How a line looks; by default console on a terminal, else json.",
    )


@dataclass(frozen=True, kw_only=True)
class _Flowctl(Settings):
    """The optional control plane."""

    flowctl_enabled: bool = setting(TRUTH, "false", "FLOWCTL_ENABLED", help="Register with a control plane.")
    flowctl_endpoint: Address = setting(
        ADDRESS, "localhost:8080", "FLOWCTL_ENDPOINT", help="The control plane."
    )
    flowctl_heartbeat_interval: float = setting(
        PERIOD, "10s", "FLOWCTL_HEARTBEAT_INTERVAL", help="How often it hears of us."
    )
    flowctl_component_id: str | None = setting(
        TEXT, None, "FLOWCTL_COMPONENT_ID", help="The name it knows this service by."
    )


@dataclass(frozen=True, kw_only=True)
class _Stored(Settings):
    """How a lake in an object store is reached."""

    endpoint: str | None = setting(URL, None, "S3_ENDPOINT", help="The S3-compatible store of s3:// places.")
    fetchers: int | None = setting(
        _COUNT, None, "FETCHERS", help="Files of a lake fetched at once; it finds out by itself."
    )


@dataclass(frozen=True, kw_only=True)
class _Reached(Settings):
    """What sources are shown so that they let us in."""

    rpc_headers: tuple[str, ...] = setting(
        HEADERS, "", "RPC_HEADERS", help="Headers for RPC nodes: 'Name: value', or 'HOST Name: value'."
    )
    rpc_token: str | None = setting(TOKEN, None, "RPC_TOKEN", help="A bearer token for RPC nodes.")
    source_headers: tuple[str, ...] = setting(
        HEADERS, "", "SOURCE_HEADERS", help="Headers for gRPC sources and lakes at web addresses."
    )
    source_token: str | None = setting(TOKEN, None, "SOURCE_TOKEN", help="A bearer token for those.")
    source_tls: bool = setting(
        TRUTH, "false", "SOURCE_TLS", help="TLS to endpoints written host:port; a source_ca means it, too."
    )
    source_ca: Path | None = setting(FILE, None, "SOURCE_CA", help="Whom those are trusted by, PEM.")
    source_certificate: Path | None = setting(
        FILE, None, "SOURCE_CERTIFICATE", help="What they are shown for mutual TLS, PEM."
    )
    source_key: Path | None = setting(FILE, None, "SOURCE_KEY", help="That certificate's key, PEM.")
    rpc_ca: Path | None = setting(FILE, None, "RPC_CA", help="The same three for RPC nodes.")
    rpc_certificate: Path | None = setting(FILE, None, "RPC_CERTIFICATE", help="What RPC nodes are shown.")
    rpc_key: Path | None = setting(FILE, None, "RPC_KEY", help="That certificate's key.")
    instance_credentials: bool = setting(
        TRUTH,
        "false",
        "INSTANCE_CREDENTIALS",
        help="Stores may ask this machine's metadata service for keys.",
    )

    @property
    def access(self) -> SourceAccess:
        """These settings as one value."""
        return SourceAccess(
            ClientCredentials.of(
                self.rpc_headers,
                self.rpc_token,
                ClientTls(self.rpc_ca, self.rpc_certificate, self.rpc_key),
            ),
            ClientCredentials.of(self.source_headers, self.source_token, self._source_tls),
            self.instance_credentials,
        )

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken to endpoints that are written without a scheme."""
        return self.source_tls or self._source_tls.is_set

    @property
    def _source_tls(self) -> ClientTls:
        return ClientTls(self.source_ca, self.source_certificate, self.source_key)


@dataclass(frozen=True, kw_only=True)
class Source(Listening, _Flowctl, _Reached, _Stored, _Logged):
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
    max_memory_mb: int = setting(_COUNT, "1024", "MAX_MEMORY_MB", help="Memory for data in flight.")


@dataclass(frozen=True, kw_only=True)
class Processor(Listening, _Flowctl, _Reached, Filtered, Ranged, _Logged):
    """Tables out of ledgers, in sessions."""

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
    batch_size: int = setting(_COUNT, "1000", "BATCH_SIZE", help="Rows of a batch.")
    worker_count: int = setting(_COUNT, "4", "WORKER_COUNT", help="Decoding threads; a core stays free.")
    max_memory_mb: int = setting(_COUNT, "1024", "MAX_MEMORY_MB", help="Memory for data in flight.")
    tables: tuple[str, ...] = setting(
        LIST,
        "contract_data@1.0,contract_data@2.0,contract_events,token_transfers,ledgers",
        "TABLES",
        help="What sessions keep.",
    )
    spool_mb: int = setting(number(128), "4096", "SPOOL_MB", help="Disk for each session's output.")
    spool_age: float | None = setting(DURATION, None, "SPOOL_AGE", help="How long it is kept at most.")
    reader_patience: float | None = setting(
        DURATION, None, "READER_PATIENCE", help="How long a full spool waits for one who takes nothing."
    )
    on_error: str = setting(_ON_ERROR, "stop", "ON_ERROR", help="At a bad ledger: stop, or put it aside.")


@dataclass(frozen=True, kw_only=True)
class Consumer(Listening, _Flowctl, _Reached, Ranged, _Logged):
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
    db_batch_size: int = setting(_COUNT, "10000", "DB_BATCH_SIZE", help="Rows of a transaction at most.")
    db_flush_interval: float = setting(
        DURATION, "5s", "DB_FLUSH_INTERVAL", "COMMIT_INTERVAL", help="A transaction waits no longer."
    )
    metrics_port: Address = setting(ADDRESS, ":9090", "METRICS_PORT", help="HTTP: health, metrics, stats.")
    max_retries: int = setting(number(0), "5", "MAX_RETRIES", help="Tries before a batch is given up.")


@dataclass(frozen=True, kw_only=True)
class Extract(_Reached, _Stored, _Logged):
    """Ledgers out of a source into sinks."""

    source: str | None = setting(URL, None, "SOURCE", help="A path, a glob, a URL, - for stdin, or a list.")
    rpc: tuple[str, ...] = setting(RPC_URLS, "", help="RPC nodes: alone, or from where the source ends.")
    tables: tuple[str, ...] = setting(LIST, "", help="Tables, as name or name@version, or all.")
    ledgers: str | None = setting(
        TEXT, None, help="A:B, A:+N, A:, :B, A, latest, 2024-07-01:+1d, -1d:, or a list."
    )
    to: tuple[str, ...] = setting(URLS, "parquet:./stellarrow-data", help="Where to, such as parquet:FOLDER.")
    contract_ids: tuple[str, ...] = setting(
        LIST, "", "FILTER_CONTRACT_IDS", help="Only rows of these contracts (C…)."
    )
    asset_codes: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_CODES", help="Only rows of these assets: CODE, CODE:ISSUER or native (XLM)."
    )
    asset_issuers: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_ISSUERS", help="Only rows of assets of these issuers."
    )
    event_names: tuple[str, ...] = setting(
        LIST, "", help="Only events whose first topic is one of these symbols."
    )
    event_types: tuple[str, ...] = setting(
        LIST, "", help="Only events of these types: contract, system; transfers: mint, payment …"
    )
    accounts: tuple[str, ...] = setting(
        LIST, "", help="Only transfers from or to these (G…, M…, C…, B…, L…)."
    )
    where: str | None = setting(TEXT, None, help="Only rows of which this SQL condition is true.")
    filter: str | None = setting(
        TEXT, None, help="A named filter that must hold, too: `stellarrow queries` lists them."
    )
    projection: str | None = setting(TEXT, None, help="A named projection, instead of a select.")
    select: str | None = setting(TEXT, None, help="What SQL has after SELECT, instead of all columns.")
    include_deleted: bool = setting(TRUTH, "true", "INCLUDE_DELETED", help="Rows of removed entries too.")
    decoded: bool = setting(TRUTH, "false", help="Add values as JSON, code and its interface.")
    transfers: str = setting(
        choice(("derive", "unified")), "derive", help="Where token_transfers come from: derive or unified."
    )
    verify_chain: bool = setting(TRUTH, "true", help="Refuse ledgers whose hashes do not link.")
    verify_hashes: bool | None = setting(
        TRUTH,
        None,
        help="Check transactions and results against headers; by default over a network.",
    )
    workers: int | None = setting(
        _COUNT, None, "WORKER_COUNT", help="Decoding threads; one a core by default."
    )
    budget_mb: int = setting(_COUNT, "64", "MAX_MEMORY_MB", help="Memory for ledgers in flight.")
    on_error: str = setting(_ON_ERROR, "stop", help="At a bad ledger: stop, or put it aside.")
    commit_every: float = setting(DURATION, "1m", help="Nothing written waits much longer to be durable.")


SERVICES: Final[dict[str, type[Settings]]] = {
    "source": Source,
    "processor": Processor,
    "consumer": Consumer,
    "extract": Extract,
    "client": Client,
}
