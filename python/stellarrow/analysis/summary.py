"""Figures in short, as a page, /metrics and programs show them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import pyarrow as pa

from stellarrow.analysis.windows import NAMES, WINDOWS, Analytics, Question

FOREMOST: Final = 10  # assets, and contracts: each is a time series where Prometheus looks
_FOREMOST_IN: Final = "24h"
_RANKED: Final = {"transfers": "assets", "events": "contracts"}  # by what has the name; its keys


def summary_of(analytics: Analytics, tables: Collection[str]) -> dict[str, Any]:
    """Return the newest figures of each window, of all together, and the foremost assets and contracts.

    They are of the names whose table is among `tables`. Sums are texts, times are seconds since 1970.
    """
    names = [name for name, kind in NAMES.items() if kind.table in tables]
    ranked = {title: name for name, title in _RANKED.items() if name in names}
    newest = [Question(name, window) for name in names for window in WINDOWS]
    foremost = [Question(name, _FOREMOST_IN, by=name, top=FOREMOST) for name in ranked.values()]
    answers = analytics.ask([*newest, *foremost])  # at one moment
    windows: dict[str, dict[str, Any]] = {name: {} for name in names}
    for question, answer in zip(newest, answers, strict=False):
        windows[question.name][question.window] = _newest(answer.rows)
    last = max((one.ledgers.end for one in answers if one.ledgers), default=0)
    summary = {"last_ledger": last, "bytes": analytics.size_bytes, "windows": windows}
    found = (_plain(one.rows) for one in answers[len(newest) :])
    return summary | dict(zip(ranked, found, strict=True))


def _newest(series: pa.Table) -> dict[str, Any]:
    """Return the figures of the window that is open; empty before there are any."""
    return next(iter(_plain(series.slice(max(0, series.num_rows - 1)))), {})


def _plain(rows: pa.Table) -> list[dict[str, Any]]:
    times = [field.name for field in rows.schema if pa.types.is_timestamp(field.type)]
    return [
        row | {name: row[name].timestamp() for name in times if row[name] is not None}
        for row in rows.to_pylist()
    ]
