"""Windows of time: tumbling, in UTC, by when ledgers closed; weeks begin on Mondays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.errors import ConfigError
from stellarrow.net.redaction import shortened

START: Final = "window_start"
CLOSED_AT: Final = "closed_at"
MOMENT: Final = pa.timestamp("us", "UTC")
# By name: how many of which unit.
_UNITS: Final[Mapping[str, tuple[int, str]]] = {
    "1m": (1, "minute"),
    "5m": (5, "minute"),
    "1h": (1, "hour"),
    "24h": (1, "day"),
    "7d": (1, "week"),
}
NAMES: Final = tuple(_UNITS)
FIELD: Final = pa.field(
    START, MOMENT, nullable=False, metadata={"description": "When the window begins, by ledgers' close time."}
)


def window_named(name: str) -> str:
    """Return a window's name, empty for none: the whole range; ConfigError where there is no such window."""
    if name and name not in _UNITS:
        known = f"{', '.join(NAMES)}, or none for the whole range"
        raise ConfigError(f"the window is {shortened(name)!r}: it must be {known}")
    return name


def window_of(closed_at: pa.Array, name: str) -> pa.Array:
    """Return when the window of each time begins."""
    multiple, unit = _UNITS[name]
    return pc.cast(pc.floor_temporal(closed_at, multiple, unit=unit), MOMENT)


def length(name: str) -> timedelta:
    multiple, unit = _UNITS[name]
    return multiple * timedelta(**{f"{unit}s": 1})
