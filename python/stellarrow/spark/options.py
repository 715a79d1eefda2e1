"""The options of `spark.read.format("stellarrow")`, all of which are texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter

_LISTS: Final = ("contract_ids", "asset_codes", "asset_issuers", "event_names", "event_types", "accounts")
_YES: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What is read, as options of Spark say; an option that is not given is empty."""

    path: str = ""
    table: str = ""
    ledgers: str = ""
    network: str = ""
    where: str = ""
    columns: str = ""
    contract_ids: str = ""
    asset_codes: str = ""
    asset_issuers: str = ""
    event_names: str = ""
    event_types: str = ""
    accounts: str = ""
    include_deleted: str = ""
    decoded: str = ""
    transfers: str = ""
    partitions: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> ReadOptions:
        """Take what Spark hands over; it writes names in any case, and adds some with a dot of its own."""
        known = {one.name for one in fields(cls)}
        found = {name.lower(): value for name, value in given.items() if "." not in name}
        for name in found:
            if name not in known:
                remedy = nearest(name, sorted(known), f"choose one of {', '.join(sorted(known))}")
                raise ConfigError(f"{name} is no option of format stellarrow: {remedy}")
        options = cls(**found)
        if not options.path:
            raise ConfigError("no source is named: give load() a path or URL of ledgers or of stored tables")
        if not options.table:
            raise ConfigError('no table is named: give .option("table", "contract_events"), for one')
        options.count()  # what is no number is told before a job begins
        return options

    def filter(self) -> Filter:
        """Return the filter that the options make."""
        lists: dict[str, Any] = {name: _listed(getattr(self, name)) for name in _LISTS}
        deleted = _flag("include_deleted", self.include_deleted, default=True)
        return Filter(where=self.where, include_deleted=deleted, **lists)

    def count(self) -> int | None:
        """Return how many partitions are asked for."""
        if not self.partitions:
            return None
        if not self.partitions.isdecimal() or not 0 < int(self.partitions) <= 100_000:
            raise ConfigError(f"partitions is {self.partitions!r}: give a whole number from 1 to 100,000")
        return int(self.partitions)

    def scanned(self) -> dict[str, Any]:
        """Return arguments of `sa.scan`: the options but ledgers, columns and the filter."""
        choices: dict[str, Any] = {
            "table": self.table,
            "network": self.network or None,
            "decoded": _flag("decoded", self.decoded, default=False),
        }
        return choices | ({"transfers": self.transfers} if self.transfers else {})

    def named_columns(self) -> list[str] | None:
        """Return the columns that are asked for, None for all."""
        return list(_listed(self.columns)) or None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _flag(name: str, text: str, *, default: bool) -> bool:
    if not text:
        return default
    if text.lower() not in _YES:
        raise ConfigError(f"{name} is {text!r}: give true or false")
    return _YES[text.lower()]
