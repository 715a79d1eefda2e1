"""What the bar of a run has beside itself on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.cli.output.progress_figures import lag, percent
from stellarrow.pipeline import loop

_WIDE: Final = 100  # columns of a terminal with room for more


def columns(width: int) -> Iterator[ProgressColumn]:
    """Yield the columns of the bar on a terminal so wide."""
    yield SpinnerColumn()
    yield TextColumn("{task.description}")
    yield BarColumn(bar_width=None)
    yield _Share()
    yield _Speed(wide=width >= _WIDE)
    yield _Remaining()


class _Share(ProgressColumn):
    """How much is done of what is wanted; where the chain is followed, the ledger it is at."""

    def render(self, task: Task) -> Text:
        state: loop.Progress | None = task.fields.get("state")
        if task.total is None:
            return Text(f"at {state.last}," if state and state.last is not None else "", no_wrap=True)
        return Text(f"{percent(state):>3} %" if state else "  0 %", no_wrap=True)


class _Remaining(ProgressColumn):
    """How long it will take; where the chain is followed, how far behind it is."""

    def render(self, task: Task) -> Text:
        state: loop.Progress | None = task.fields.get("state")
        if not state:
            return Text("")
        if state.wanted is None:
            return Text(
                f"lag {formatting.seconds(round(lag(state)))}" if state.last_closed_at else "", no_wrap=True
            )
        if not state.ledgers or not task.elapsed:
            return Text("")
        if state.ledgers >= state.wanted:
            return Text("" if percent(state) == 100 else "writing files", no_wrap=True)
        left = (state.wanted - state.ledgers) * task.elapsed / state.ledgers
        return Text(f"{formatting.seconds(round(left))} left", no_wrap=True)


class _Speed(ProgressColumn):
    """Ledgers and megabytes a second, and where there is room, rows."""

    def __init__(self, *, wide: bool) -> None:
        super().__init__()
        self._wide = wide

    def render(self, task: Task) -> Text:
        state: loop.Progress | None = task.fields.get("state")
        if not state or not task.elapsed:
            return Text("reading what is there", no_wrap=True)
        rate = formatting.count(state.ledgers / task.elapsed)
        speed = state.bytes / task.elapsed / 1e6
        rows = f", {formatting.count(sum(state.rows.values()))} rows" if self._wide else ""
        aside = f", {state.quarantined} quarantined" if state.quarantined else ""
        return Text(f"{rate} ledgers/s, {speed:,.0f} MB/s{rows}{aside}", no_wrap=True)
