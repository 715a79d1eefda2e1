"""One piece of a backfill: an ordinary run over some ledgers, told and reported as plain values."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stellarrow.errors import StellarrowError
from stellarrow.running import run


@dataclass(frozen=True, slots=True)
class Task:
    """Which ledgers to bring from where to where; `choices` are arguments of `sa.run`."""

    source: str
    tables: tuple[str, ...]
    sinks: tuple[str, ...]
    ledgers: str
    choices: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: the ledgers that became durable, and what that took."""

    ledgers: int
    bytes: int
    rows: Mapping[str, int]
    cpu_seconds: float


class TaskFailed(StellarrowError):
    """A task cannot be done, wherever it is tried; the message says why."""


def work(task: Task, stop: threading.Event | None = None) -> Done:
    """Do a task in this process, decoding in one thread: an engine runs as many as it has processors."""
    began = time.process_time()
    report = run(
        task.source,
        tables=task.tables,
        sinks=task.sinks,
        ledgers=task.ledgers,
        workers=1,
        stop=stop,
        **task.choices,
    )
    # What was there already, a worker brought that was lost before it could say so: it was missing before.
    ledgers = report.ledgers + report.skipped
    return Done(ledgers, report.bytes, dict(report.rows), time.process_time() - began)


def answered(task: Task) -> Done | str:
    """Do a task; what our own errors say is an answer, not a reason to try it elsewhere."""
    try:
        return work(task)
    except StellarrowError as error:
        return str(error)
