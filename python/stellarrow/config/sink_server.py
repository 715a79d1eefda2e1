"""What a server can be told that brings a processor's tables into sinks: pushed to it, or fetched."""

from __future__ import annotations

from dataclasses import dataclass

from stellarrow.config.parts import Logged, Reached
from stellarrow.config.security import Listening
from stellarrow.config.settings import Settings, setting
from stellarrow.config.values import ADDRESS, DURATION, LIST, URL, URLS, choice, choices
from stellarrow.errors import ConfigError
from stellarrow.net.address import Address
from stellarrow.net.redaction import redacted_url
from stellarrow.registry import FILE_STORES, sinks

_FORMATS = {"parquet": "parquet", "json": "jsonl", "csv": "csv"}  # a setting's word, and the sink's
_CODEC = choice(("zstd", "snappy", "gzip", "lz4", "brotli", "none"))


@dataclass(frozen=True, kw_only=True)
class Exported(Settings):
    """Which files are written, in the words of the older components."""

    parquet_path: str | None = setting(URL, None, "PARQUET_PATH", help="A folder or URL for Parquet.")
    json_path: str | None = setting(URL, None, "JSON_PATH", help="A folder or URL for JSON lines.")
    csv_path: str | None = setting(URL, None, "CSV_PATH", help="A folder or URL for CSV.")
    export_formats: tuple[str, ...] = setting(
        choices((*_FORMATS, "websocket", "api")),
        "",
        "EXPORT_FORMATS",
        help="Which of those are written; by default each that has a path.",
    )
    parquet_compression: str | None = setting(_CODEC, None, "PARQUET_COMPRESSION", help="By default zstd.")
    partition_by: tuple[str, ...] = setting(
        LIST, "", "PARTITION_BY", help="Folders by date, hour, asset_code or event_type; the first counts."
    )

    @property
    def exported(self) -> tuple[str, ...]:
        """The sinks these name, as `--to` has them."""
        paths = {"parquet": self.parquet_path, "json": self.json_path, "csv": self.csv_path}
        wanted = [name for name in self.export_formats if name in _FORMATS]
        for name in wanted:
            if not paths[name]:
                raise ConfigError(f"export_formats has {name}: name {name}_path, where to write it")
        return tuple(
            self._place(name, path) for name, path in paths.items() if path and name in (wanted or paths)
        )

    def _place(self, name: str, path: str) -> str:
        options = [f"partition={self.partition_by[0]}"] if self.partition_by else []
        if name == "parquet" and self.parquet_compression:
            options.append(f"codec={self.parquet_compression}")
        word, colon, rest = path.partition(":")
        is_url = word in FILE_STORES and rest.startswith("//")
        if colon and not is_url and word in {*sinks(), *FILE_STORES, *_FORMATS}:
            raise ConfigError(
                f"{self.origin(f'{name}_path')} is {redacted_url(path)!r}, which names no folder: write a"
                f" folder such as ./out, or a URL such as s3://BUCKET/PREFIX"
            )
        joint = "&" if "?" in path else "?"
        return f"{_FORMATS[name]}:{path}" + (f"{joint}{'&'.join(options)}" if options else "")


@dataclass(frozen=True, kw_only=True)
class SinkServer(Exported, Listening, Reached, Logged):
    """A processor's tables into any sinks, pushed over Flight or fetched."""

    source_endpoint: Address | None = setting(
        ADDRESS, None, "SOURCE_ENDPOINT", help="A processor's Flight to fetch tables from (HOST:8816)."
    )
    tables: tuple[str, ...] = setting(LIST, "token_transfers", "TABLES", help="What the sinks keep.")
    to: tuple[str, ...] = setting(URLS, "", "TO", help="The sinks, such as parquet:FOLDER.")
    flight_address: Address = setting(
        ADDRESS, ":8817", "FLIGHT_ADDRESS", "ARROW_PORT", help="Where Flight takes what is pushed (DoPut)."
    )
    health_port: Address = setting(
        ADDRESS, ":8088", "HEALTH_PORT", help="Where HTTP listens: health and metrics."
    )
    commit_interval: float = setting(
        DURATION, "1s", "COMMIT_INTERVAL", help="What comes waits no longer to be durable."
    )

    @property
    def places(self) -> tuple[str, ...]:
        """Every sink that is named."""
        return (*self.to, *self.exported)
