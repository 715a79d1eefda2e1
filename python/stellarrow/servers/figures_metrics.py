"""Figures over time windows at /metrics: of all together, and of the foremost assets alone."""

from __future__ import annotations

from typing import Final

from stellarrow.analytics.windows import NAMES, Analytics
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.figures import foremost_session
from stellarrow.telemetry.metrics import Metrics

_WINDOWS: Final = ("1h", "24h", "total")
_FOREMOST: Final = 10  # assets: each is a time series that Prometheus keeps
_SHOWN: Final = {
    "network": ("ledgers", "transactions"),
    "transfers": ("transfers", "senders", "receivers", "mints", "burns"),
    "events": ("events",),
    "storage": ("changes",),
}


def measure(processor: Processor) -> None:
    """Set the gauges to what the foremost session's figures are now."""
    work = foremost_session(processor) if processor.options.figures_mb else None
    analytics = work.figures.answering() if work else None
    if work is None or analytics is None:
        return
    metrics = processor.metrics
    metrics.figures_ledger.set(analytics.last)
    metrics.figures_bytes.set(analytics.size_bytes)
    for name, columns in _SHOWN.items():
        if NAMES[name].table in work.figures.tables:
            _measure_windows(metrics, analytics, name, columns)
    if NAMES["transfers"].table in work.figures.tables:
        _measure_assets(metrics, analytics)


def _measure_windows(metrics: Metrics, analytics: Analytics, name: str, columns: tuple[str, ...]) -> None:
    for window in _WINDOWS:
        newest = _newest(analytics, name, window)
        for column in columns:
            metrics.figures.labels(column, window).set(newest.get(column, 0))


def _newest(analytics: Analytics, name: str, window: str) -> dict[str, int]:
    rows = analytics.series(name, window).to_pylist()
    return rows[-1] if rows else {}


def _measure_assets(metrics: Metrics, analytics: Analytics) -> None:
    metrics.asset_transfers.clear()
    metrics.asset_volume.clear()
    ranked = analytics.foremost("transfers", "24h", by="transfers", limit=_FOREMOST)
    for row in ranked.to_pylist():
        asset = row["asset"] or "others"
        metrics.asset_transfers.labels(asset).set(row["transfers"])
        metrics.asset_volume.labels(asset).set(float(row["volume"]))
