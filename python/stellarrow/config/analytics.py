"""What the analytics service can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stellarrow.config.lifecycle import Aging
from stellarrow.config.parts import COUNT, THREADS, Logged, Ranged, Reached
from stellarrow.config.security import Listening
from stellarrow.config.settings import setting
from stellarrow.config.sink_server import Exported
from stellarrow.config.values import ADDRESS, FOLDER, LIST, PERIOD, URL, number
from stellarrow.net.address import Address

_KEPT_SHARE = 4  # one in so many


@dataclass(frozen=True, kw_only=True)
class Analytics(Exported, Listening, Reached, Ranged, Logged, Aging):
    """Tables and figures over REST, WebSocket and Arrow Flight."""

    source: str | None = setting(URL, None, "SOURCE", help="Any source of ledgers, instead of a processor.")
    source_endpoint: Address = setting(
        ADDRESS, "localhost:8816", "SOURCE_ENDPOINT", help="The processor's Flight."
    )
    data: str | None = setting(
        URL, None, "DATA", help="Stored tables to read, as extract wrote them; alone, or with newer ledgers."
    )
    tables: tuple[str, ...] = setting(
        LIST,
        "ledgers,token_transfers,contract_events,contract_data",
        "TABLES",
        help="What is answered; of stored tables alone, all that are there.",
    )
    rest_port: Address = setting(ADDRESS, ":8081", "REST_PORT", help="Where REST listens, and the web page.")
    websocket_port: Address = setting(
        ADDRESS, ":8080", "WEBSOCKET_PORT", help="Where the WebSocket listens; REST's port has it, too."
    )
    flight_address: Address = setting(
        ADDRESS, ":8817", "FLIGHT_ADDRESS", "ARROW_PORT", help="Where Arrow Flight listens."
    )
    max_connections: int = setting(COUNT, "1000", "MAX_CONNECTIONS", help="WebSockets at once.")
    max_connections_per_ip: int = setting(
        COUNT, "10", "MAX_CONNECTIONS_PER_IP", help="Of one address; of IPv6, of a network of 64 bits."
    )
    connection_timeout: float = setting(
        PERIOD, "30s", "CONNECTION_TIMEOUT", help="To prove who it is, and to subscribe."
    )
    idle_timeout: float = setting(PERIOD, "5m", "IDLE_TIMEOUT", help="Without a subscription or a word.")
    health_port: Address = setting(
        ADDRESS, ":8088", "HEALTH_PORT", help="Where HTTP listens: health and metrics."
    )
    hot_mb: int = setting(
        number(8), "256", "HOT_MB", help="Memory for rows: the newest, and what pages of files decode."
    )
    analytics_mb: int = setting(number(1), "192", "ANALYTICS_MB", help="Memory for figures over windows.")
    export_path: Path | None = setting(
        FOLDER, None, "EXPORT_PATH", help="Where exports lie; by default in the state folder."
    )
    export_mb: int = setting(COUNT, "10240", "EXPORT_MB", help="Disk for exports, all together.")
    export_age: float = setting(
        PERIOD, "24h", "EXPORT_AGE", help="How long an export that has ended is kept."
    )
    worker_count: int = setting(THREADS, "2", "WORKER_COUNT", help="Decoding threads, of a source.")
    max_memory_mb: int = setting(COUNT, "256", "MAX_MEMORY_MB", help="Memory for ledgers in flight.")

    def page_bytes(self, *, is_within: bool) -> int:
        """How much of HOT_MB is for what pages of files decode: all of it where no newer rows come."""
        if not self.data:
            return 0
        return (self.hot_mb << 20) // (1 if self.is_stored_alone and not is_within else _KEPT_SHARE)

    def row_bytes(self, *, is_within: bool) -> int:
        """How much of HOT_MB is for the newest rows."""
        return (self.hot_mb << 20) - self.page_bytes(is_within=is_within)

    @property
    def is_stored_alone(self) -> bool:
        """Whether no ledgers are followed: stored tables are named, and nothing else is."""
        return bool(self.data) and not self.source and "source_endpoint" not in self.origins
