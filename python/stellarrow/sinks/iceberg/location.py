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
    "partition": "ledgers (each hundred thousand), day (closed_at), bucket (contract_id); none by default",
    "buckets": "into how many buckets of contracts partition=bucket divides, 16 by default",
    "snapshots": "how many snapshots stay for time travel, 20 by default",
}
_FORM: Final = "write iceberg:CATALOG/NAMESPACE"
PARTITION_LEDGERS: Final = 100_000
_PARTITIONS: Final = {  # each by the name of its own, and as Iceberg writes it
    "none": "none",
    "ledgers": "ledgers",
    "truncate(ledger_sequence)": "ledgers",
    "day": "day",
    "day(closed_at)": "day",
    "bucket": "bucket",
    "bucket(contract_id)": "bucket",
}


@dataclass(frozen=True, slots=True)
class Location:
    """A catalog and a namespace in it, and how tables there are made."""

    catalog: str
    namespace: str
    ledgers: int = 1_000
    codec: str | None = None
    partition: str = "none"
    snapshots: int = 20
    buckets: int = 16

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
            is_number = name in ("ledgers", "snapshots", "buckets")
            options[name] = _number(url, name, value) if is_number else value
        if (partition := options.get("partition", "none")) not in _PARTITIONS:
            raise ConfigError(
                f"{redacted_url(url)!r}: partition is none, ledgers, day or bucket, or as Iceberg writes it,"
                " such as day(closed_at)"
            )
        options["partition"] = _PARTITIONS[partition]
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
