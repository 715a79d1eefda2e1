"""Progress of a run: a bar on a terminal, one structured line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.pipeline import loop

_LINE_EVERY: Final = 10.0  # seconds
_WIDE: Final = 100  # columns of a terminal with room for more

Report = Callable[[loop.Progress], None]


@contextmanager
def shown(title: str, stop: Event | None = None) -> Iterator[Report]:
    """Show what a run reports on stderr until the block ends, and once that it was asked to stop."""
    console = Console(stderr=True)
    stop = stop or Event()
    if not console.is_terminal:
        yield _lines(stop)
        return
    with Progress(*_columns(console.width), console=console, transient=True, expand=True) as bar:
        task = bar.add_task(title, total=None)

        def report(state: loop.Progress) -> None:
            answer = "finishing" if stop.is_set() else title
            bar.update(task, description=answer, total=state.wanted, completed=state.ledgers, state=state)

        yield report


def _columns(width: int) -> Iterator[ProgressColumn]:
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


def percent(state: loop.Progress) -> int:
    """Return how much is done, rounded down; 100 only once the last ledger is durable."""
    if not state.wanted:
        return 100
    is_durable = state.committed is not None and state.committed == state.last
    done = state.ledgers + state.quarantined
    return 100 if is_durable and done >= state.wanted else min(99, 100 * done // state.wanted)


def lag(state: loop.Progress) -> float:
    """Return how long ago the last ledger closed, in seconds."""
    return max(0.0, time.time() - state.last_closed_at) if state.last_closed_at else 0.0


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


def _lines(stop: Event) -> Report:
    began = answer = time.monotonic()

    def report(state: loop.Progress) -> None:
        nonlocal answer
        now = time.monotonic()
        if now - answer < _LINE_EVERY:
            return
        answer = now
        rate = state.ledgers / (now - began)
        left = (
            f" lag_s={lag(state):.0f}"
            if state.wanted is None
            else f" eta_s={(state.wanted - state.ledgers) / rate:.0f}"
        )
        aside = f" quarantined={state.quarantined}" if state.quarantined else ""
        line = (
            f"progress ledgers={state.ledgers} wanted={state.wanted or 'open'} last={state.last}"
            f" ledgers_per_s={rate:.0f} mb_per_s={state.bytes / (now - began) / 1e6:.0f}"
            f" rows={sum(state.rows.values())}{left}{aside}" + (" stopping" if stop.is_set() else "")
        )
        print(line, file=sys.stderr, flush=True)

    return report
