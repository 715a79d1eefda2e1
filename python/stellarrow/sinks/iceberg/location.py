"""Namespaces as words: `iceberg:CATALOG/NAMESPACE?partition=ledgers`; the catalog is as PyIceberg is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from stellarrow.errors import ConfigError, nearest
from stellarrow.net.redaction import redacted_url
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.location import OPTIONS as _FILES

OPTIONS: Final[Mapping[str, str]] = {
    "ledgers": _FILES["ledgers"],
    "codec": _FILES["codec"],
    "partition": "ledgers for a partition each hundred thousand ledgers, none by default",
    "snapshots": "how many snapshots stay for time travel, 50 by default",
}
_FORM: Final = "write iceberg:CATALOG/NAMESPACE"
PARTITION_LEDGERS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Location:
    """A catalog and a namespace in it, and how tables there are made."""

    catalog: str
    namespace: str
    ledgers: int = 1_000
    codec: str | None = None
    partition: str = "none"
    snapshots: int = 50

    def __str__(self) -> str:
        return f"{self.catalog}/{self.namespace}"

    @classmethod
    def parse(cls, url: str) -> Location:
        """Read iceberg:CATALOG/NAMESPACE, with options behind a question mark."""
        place, _, query = url.partition(":")[2].partition("?")
        catalog, _, namespace = place.removeprefix("//").partition("/")
        if not catalog or not namespace:
            raise ConfigError(f"{redacted_url(url)!r} names no catalog and namespace: {_FORM}")
        options: dict[str, Any] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name not in OPTIONS:
                remedy = nearest(name, OPTIONS, f"choose among {', '.join(OPTIONS)}")
                raise ConfigError(f"{redacted_url(url)!r} has an unknown option {name!r}: {remedy}")
            options[name] = _number(url, name, value) if name in ("ledgers", "snapshots") else value
        if options.get("partition", "none") not in ("none", "ledgers"):
            raise ConfigError(f"{redacted_url(url)!r}: partition is none or ledgers")
        if options.get("partition") == "ledgers" and PARTITION_LEDGERS % options.get("ledgers", 1_000):
            raise ConfigError(
                f"{redacted_url(url)!r}: with partition=ledgers, ledgers must divide {PARTITION_LEDGERS}"
            )
        Parquet(options.get("codec"))
        return cls(catalog, namespace, **options)

    @property
    def root(self) -> str:
        """Name the namespace alike, however it is written."""
        return f"iceberg:{self.catalog}/{self.namespace}"


def _number(url: str, name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ConfigError(f"{redacted_url(url)!r}: {name} is a number, such as {name}=1000")
    return int(value)
