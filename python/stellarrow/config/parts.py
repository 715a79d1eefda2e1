"""Settings that several services have."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import (
    ADDRESS,
    FILE,
    FOLDER,
    HEADERS,
    LEDGER_OR_DATE,
    LIST,
    NETWORK,
    PERIOD,
    TEXT,
    TOKEN,
    TRUTH,
    URL,
    choice,
    number,
)
from stellarrow.errors import ConfigError
from stellarrow.ledgers.dates import read_moment
from stellarrow.net.address import Address
from stellarrow.net.client_tls import ClientTls
from stellarrow.net.credentials import ClientCredentials, SourceAccess

COUNT = number(1)
THREADS = number(1, 1_024)
ON_ERROR = choice(
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
class Logged(Settings):
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
class Flowctl(Settings):
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
class Filtered(Settings):
    """Which rows are wanted."""

    filter_contract_ids: tuple[str, ...] = setting(
        LIST, "", "FILTER_CONTRACT_IDS", help="Only rows of these contracts (C…)."
    )
    filter_asset_codes: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_CODES", help="Only rows of assets: CODE, CODE:ISSUER, native (XLM)."
    )
    filter_asset_issuers: tuple[str, ...] = setting(
        LIST, "", "FILTER_ASSET_ISSUERS", help="Only rows of assets of these issuers."
    )
    include_assets: tuple[str, ...] = setting(
        LIST,
        "",
        "INCLUDE_ASSETS",
        help="Assets beside those: CODE, CODE:ISSUER, native (XLM) or a token's contract.",
    )
    event_types: tuple[str, ...] = setting(
        LIST,
        "",
        "EVENT_TYPES",
        help="Only transfers of these: transfer, mint, burn, clawback, fee; payment and other operations.",
    )
    include_deleted: bool = setting(TRUTH, "true", "INCLUDE_DELETED", help="Rows of removed entries too.")


@dataclass(frozen=True, kw_only=True)
class Ranged(Settings):
    """Which ledgers are wanted."""

    start_ledger: int | str | None = setting(
        LEDGER_OR_DATE, None, "START_LEDGER", help="The first ledger, or a date: 2024-07-01."
    )
    end_ledger: int | str | None = setting(
        LEDGER_OR_DATE, None, "END_LEDGER", help="The last ledger, or a date; 0 follows the chain."
    )

    def __post_init__(self) -> None:
        first, last = self.start_ledger or 0, self.end_ledger or 0
        if isinstance(first, str) and isinstance(last, str):
            swapped = read_moment(last).ends_before(read_moment(first))
        else:
            swapped = isinstance(first, int) and isinstance(last, int) and 0 < last < first
        ends = f"{self.origin('end_ledger')} is {last}"
        if swapped:
            raise ConfigError(f"{ends}, before {self.origin('start_ledger')} {first}: swap them")
        if isinstance(last, str) and read_moment(last).last > time.time():
            raise ConfigError(f"{ends}, which is still to come: leave it out to follow the chain")

    @property
    def by_date(self) -> bool:
        """Whether a source has to tell which ledgers are meant."""
        return isinstance(self.start_ledger, str) or isinstance(self.end_ledger, str)

    @property
    def ledgers_asked(self) -> str:
        """The range as the command line writes it."""
        return f"{self.start_ledger or ''}:{self.end_ledger or ''}"


@dataclass(frozen=True, kw_only=True)
class Stored(Settings):
    """How a lake in an object store is reached."""

    endpoint: str | None = setting(URL, None, "S3_ENDPOINT", help="The S3-compatible store of s3:// places.")
    fetchers: int | None = setting(
        THREADS, None, "FETCHERS", help="Files of a lake fetched at once; it finds out by itself."
    )


@dataclass(frozen=True, kw_only=True)
class Reached(Settings):
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
