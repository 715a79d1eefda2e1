"""Policies: at which age files of a kind are compressed, archived and deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import ConfigError, nearest

_AGE: Final = re.compile(r"(\d+)\s*([mhdw])", re.ASCII)
_DIGITS: Final = 6  # of an age's number
_SECONDS: Final = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_ACTIONS: Final = ("compress", "archive", "delete")
_FORM: Final = "write it as 'compress 30d, archive 90d, delete 180d', 'delete 30d' or 'keep'"


@dataclass(frozen=True, slots=True)
class Policy:
    """Ages in seconds since the last ledger of a file closed; None is never."""

    archive: int | None = None
    delete: int | None = None
    compress: int | None = None

    @classmethod
    def parse(cls, text: str, name: str) -> Policy:
        """Read `compress 30d, archive 90d, delete 180d`, some of these, or `keep`."""
        if text.strip().lower() == "keep":
            return cls()
        ages: dict[str, int] = {}
        for part in text.split(","):
            action, _, age = part.strip().partition(" ")
            if action not in _ACTIONS:
                raise ConfigError(f"{name} has {action[:40]!r}: {nearest(action, _ACTIONS, _FORM)}")
            match = _AGE.fullmatch(age.strip())
            if not match or action in ages:
                raise ConfigError(f"{name} is {text[:60]!r}: {_FORM}")
            if len(match[1]) > _DIGITS:
                raise ConfigError(
                    f"{name} has the age {age.strip()[:40]!r}, and its number may be {'9' * _DIGITS} at most:"
                    " write a long age in days or weeks, such as 90d or 52w"
                )
            ages[action] = int(match[1]) * _SECONDS[match[2]]
        policy = cls(**ages)
        if policy.archive is not None and policy.delete is not None and policy.delete <= policy.archive:
            raise ConfigError(f"{name} deletes before it archives: {_FORM}")
        later = min((age for age in (policy.archive, policy.delete) if age is not None), default=None)
        if policy.compress is not None and later is not None and later <= policy.compress:
            raise ConfigError(f"{name} compresses what has left by then: {_FORM}")
        return policy


KINDS: Final = {"parquet": "parquet_policy", "jsonl": "json_policy", "csv": "csv_policy"}
DEFAULTS: Final[Mapping[str, str]] = {
    "parquet": "archive 90d, delete 180d",
    "jsonl": "archive 7d, delete 14d",
    "csv": "archive 7d, delete 14d",
}
