"""Progress of a run: a bar on a terminal, one structured line every ten seconds elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final

from stellarrow.cli.output.progress_figures import lag
from stellarrow.pipeline import loop

_LINE_EVERY: Final = 10.0  # seconds
# By which rich is told that there is a terminal, whatever the system says.
_FORCING: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")

Report = Callable[[loop.Progress], None]


@contextmanager
def shown(title: str, stop: Event | None = None) -> Iterator[Report]:
    """Show what a run reports on stderr until the block ends, and once that it was asked to stop."""
    stop = stop or Event()
    if not (sys.stderr.isatty() or any(os.environ.get(name) for name in _FORCING)):
        yield _lines(stop)  # without rich, which takes time to load
        return
    with _bar(title, stop) as report:
        yield report


@contextmanager
def _bar(title: str, stop: Event) -> Iterator[Report]:
    from rich.progress import Progress  # noqa: PLC0415  slow to load

    from stellarrow.cli.output.page import Page  # noqa: PLC0415  as above
    from stellarrow.cli.output.progress_columns import columns  # noqa: PLC0415  as above

    console = Page(stderr=True)
    if not console.is_terminal:
        yield _lines(stop)
        return
    with Progress(*columns(console.width), console=console, transient=True, expand=True) as bar:
        task = bar.add_task(title, total=None)

        def report(state: loop.Progress) -> None:
            answer = "finishing" if stop.is_set() else title
            bar.update(task, description=answer, total=state.wanted, completed=state.ledgers, state=state)

        yield report


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
