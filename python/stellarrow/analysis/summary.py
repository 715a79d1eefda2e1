"""Figures in short, as a page, /metrics and programs show them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.windows import NAMES, WINDOWS, Analytics

FOREMOST: Final = 10  # assets, and contracts: each is a time series where Prometheus looks
_FOREMOST_IN: Final = "24h"


def summary_of(analytics: Analytics, tables: Collection[str]) -> dict[str, Any]:
    """Return the newest figures of each window, of all together, and the foremost assets and contracts.

    They are of the names whose table is among `tables`. Sums are texts, times are seconds since 1970.
    """
    names = [name for name, kind in NAMES.items() if kind.table in tables]
    windows = {name: {window: _newest(analytics, name, window) for window in WINDOWS} for name in names}
    summary: dict[str, Any] = {
        "last_ledger": analytics.last,
        "bytes": analytics.size_bytes,
        "windows": windows,
    }
    if "transfers" in names:
        found = analytics.foremost("transfers", _FOREMOST_IN, by="transfers", limit=FOREMOST)
        summary["assets"] = _plain(found)
    if "events" in names:
        found = analytics.foremost("events", _FOREMOST_IN, by="events", limit=FOREMOST)
        summary["contracts"] = _plain(found)
    return summary


def _newest(analytics: Analytics, name: str, window: str) -> dict[str, Any]:
    """Return the figures of the window that is open; empty before there are any."""
    series = analytics.series(name, window)
    return next(iter(_plain(series.slice(max(0, series.num_rows - 1)))), {})


def _plain(rows: pa.Table) -> list[dict[str, Any]]:
    times = [field.name for field in rows.schema if pa.types.is_timestamp(field.type)]
    return [
        row | {name: row[name].timestamp() for name in times if row[name] is not None}
        for row in rows.to_pylist()
    ]
