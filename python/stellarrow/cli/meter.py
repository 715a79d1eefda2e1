"""Progress of a run: a bar on a terminal, one structured line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from stellarrow import pipeline
from stellarrow.cli import wording

_LINE_EVERY: Final = 10.0  # seconds

Report = Callable[[pipeline.Progress], None]


@contextmanager
def shown(title: str) -> Iterator[Report]:
    """Show what a run reports on stderr until the block ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %"),
        _Speed(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task(title, total=None)

        def report(state: pipeline.Progress) -> None:
            bar.update(task, total=state.wanted, completed=state.ledgers, state=state)

        yield report


class _Speed(ProgressColumn):
    """Ledgers and megabytes a second, and rows."""

    def render(self, task: Task) -> Text:
        state: pipeline.Progress | None = task.fields.get("state")
        if not state or not task.elapsed:
            return Text("reading what is there", no_wrap=True)
        rate = wording.count(state.ledgers / task.elapsed)
        speed = state.bytes / task.elapsed / 1e6
        rows = wording.count(sum(state.rows.values()))
        return Text(f"{rate} ledgers/s {speed:,.0f} MB/s {rows} rows", no_wrap=True)


def _lines() -> Report:
    began = told = time.monotonic()

    def report(state: pipeline.Progress) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < _LINE_EVERY:
            return
        told = now
        rate = state.ledgers / (now - began)
        left = "" if state.wanted is None else f" eta_s={(state.wanted - state.ledgers) / rate:.0f}"
        line = (
            f"progress ledgers={state.ledgers} wanted={state.wanted or 'open'} last={state.last}"
            f" ledgers_per_s={rate:.0f} mb_per_s={state.bytes / (now - began) / 1e6:.0f}"
            f" rows={sum(state.rows.values())}{left}"
        )
        print(line, file=sys.stderr, flush=True)

    return report
