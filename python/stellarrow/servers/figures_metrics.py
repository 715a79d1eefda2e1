"""Figures over time windows at /metrics: of all together, and of the foremost assets alone."""

from __future__ import annotations

from typing import Final

from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.figures import summed_up

_WINDOWS: Final = ("1h", "24h", "total")
_SHOWN: Final = {
    "network": ("ledgers", "transactions"),
    "transfers": ("transfers", "senders", "receivers", "mints", "burns"),
    "events": ("events",),
    "storage": ("changes",),
}


def measure(processor: Processor) -> None:
    """Set the gauges to what the foremost session's figures are now."""
    metrics = processor.metrics
    summary = summed_up(processor)
    metrics.figures_ledger.set(summary.get("last_ledger", 0))
    metrics.figures_bytes.set(summary.get("bytes", 0))
    for name, by_window in summary.get("windows", {}).items():
        for window in _WINDOWS:
            for figure in _SHOWN[name]:
                metrics.figures.labels(figure, window).set(by_window[window].get(figure, 0))
    metrics.asset_transfers.clear()
    metrics.asset_volume.clear()
    for row in summary.get("assets", []):
        asset = row["asset"] or "others"
        metrics.asset_transfers.labels(asset).set(row["transfers"])
        metrics.asset_volume.labels(asset).set(float(row["volume"]))
