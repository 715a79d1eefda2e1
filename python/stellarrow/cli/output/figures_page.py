"""A processor's figures over time windows on a page of any width."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from rich.console import Group
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.cli.output.columns import Column, fitting, lines

Summary = dict[str, Any]

_WINDOWS: Final = ("1m", "5m", "1h", "24h", "7d", "total")
_RARE_WINDOWS: Final = ("5m", "7d", "1h")  # left out first where the page is narrow
_RARE: Final = ("burns", "mints", "receivers", "senders", "transactions")
_FOREMOST: Final = 5
_ROWS: Final = (  # what a line says, of which figures, in which column, and whether it may be an estimate
    ("ledgers", "network", "ledgers", False),
    ("transactions", "network", "transactions", False),
    ("transactions/s", "network", "transactions_per_second", False),
    ("close interval", "network", "mean_interval_us", False),
    ("transfers", "transfers", "transfers", False),
    ("senders", "transfers", "senders", True),
    ("receivers", "transfers", "receivers", True),
    ("mints", "transfers", "mints", False),
    ("burns", "transfers", "burns", False),
    ("fees charged", "transfers", "fees_charged", False),
    ("fees refunded", "transfers", "fees_refunded", False),
    ("events", "events", "events", False),
    ("failed events", "events", "failed", False),
    ("entries written", "storage", "changes", False),
)
_SHOWN: Final[dict[str, Callable[[Any], str]]] = {
    "transactions_per_second": lambda value: f"{value:,.1f}",
    "mean_interval_us": lambda value: formatting.seconds(value / 1e6),
}


def drawn(summary: Summary, width: int, *, whole_ids: bool) -> Group:
    """Return the page of figures as /analytics tells them."""
    if not summary:
        return Group(Text("no figures yet: a session counts them as it goes, unless ANALYTICS_MB is 0"))
    name = str if whole_ids else formatting.address
    lag = summary["lag"]
    late = "" if lag is None else f", which closed {formatting.seconds(lag)} ago"
    title = Text(f"session {name(summary['session'])} up to ledger {summary['last_ledger']}{late}")
    parts = [*_windows(summary["windows"], width)]
    for kind, of_rows in (("assets", _assets), ("contracts", _contracts)):
        if rows := summary.get(kind, [])[:_FOREMOST]:
            parts += [Text(), *_fitted(of_rows(rows, whole_ids=whole_ids), width, _RARE)]
    return Group(title, Text(), *parts)


def _windows(windows: dict[str, dict[str, Any]], width: int) -> Iterator[Text]:
    """Yield a line a figure, a column a window."""
    shown = [row for row in _ROWS if row[1] in windows]
    columns = [Column("", [Text(title) for title, *_ in shown], is_text=True)]
    for window in _WINDOWS:
        cells = [Text(_cell(windows[of].get(window, {}), column, marks)) for _, of, column, marks in shown]
        columns.append(Column(window, cells))
    yield from _fitted(columns, width, _RARE_WINDOWS)


def _cell(figures: dict[str, Any], column: str, may_be_estimate: bool) -> str:
    value = figures.get(column)
    if value is None:
        return "-"
    if column in _SHOWN:
        return _SHOWN[column](value)
    about = "~" if may_be_estimate and not figures[f"{column}_exact"] else ""
    return about + _whole(value)


def _whole(value: int | str) -> str:
    return f"{int(value):,}"


def _assets(rows: Sequence[dict[str, Any]], *, whole_ids: bool) -> list[Column]:
    names = [_asset(one["asset"], whole_ids=whole_ids) for one in rows]
    numbers = ("transfers", "transactions", "senders", "receivers", "mints", "burns", "volume")
    return [Column("asset, 24h", names, is_text=True), *(_numbers(rows, one) for one in numbers)]


def _contracts(rows: Sequence[dict[str, Any]], *, whole_ids: bool) -> list[Column]:
    names = [_asset(one["contract_id"], whole_ids=whole_ids) for one in rows]
    numbers = ("events", "transactions", "failed")
    return [Column("contract, 24h", names, is_text=True), *(_numbers(rows, one) for one in numbers)]


def _asset(name: str | None, *, whole_ids: bool) -> Text:
    if name is None:
        return Text("all others", style="dim")
    return Text(name if whole_ids else formatting.shortened(name))


def _numbers(rows: Sequence[dict[str, Any]], column: str) -> Column:
    may_be_estimate = f"{column}_exact" in rows[0]
    return Column(column, [Text(_cell(one, column, may_be_estimate)) for one in rows])


def _fitted(columns: Sequence[Column], width: int, rare: Sequence[str]) -> Iterator[Text]:
    kept, left_out = fitting(columns, width, rare)
    yield from lines(kept)
    if left_out:
        yield Text(f"no room for: {', '.join(left_out)}", style="dim")
