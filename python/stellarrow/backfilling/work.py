"""One piece of a backfill: an ordinary run over some ledgers, told and reported as plain values."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.pipeline.loop import Report
from stellarrow.running import run

_WAITS_SECONDS: Final = (1.0, 5.0, 20.0)  # before a task is tried again
_log: Final = logging.getLogger(__name__)


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
    report = _run(task, stop or threading.Event())
    # What was there already, a worker brought that was lost before it could say so: it was missing before.
    ledgers = report.ledgers + report.skipped
    return Done(ledgers, report.bytes, dict(report.rows), time.process_time() - began)


def _run(task: Task, stop: threading.Event) -> Report:
    """Run it, and again after a while where a place did not answer: of many tasks none is to end them all."""
    for seconds in (*_WAITS_SECONDS, None):
        try:
            return run(
                task.source,
                tables=task.tables,
                sinks=task.sinks,
                ledgers=task.ledgers,
                workers=1,
                stop=stop,
                **task.choices,
            )
        except Unavailable as error:
            if seconds is None or stop.wait(seconds):
                raise
            _log.warning("ledgers %s are tried again: %s", task.ledgers, error)
    raise AssertionError("the last try returns or raises")


def answered(task: Task) -> Done | str:
    """Do a task; what our own errors say is an answer, not a reason to try it elsewhere."""
    try:
        return work(task)
    except StellarrowError as error:
        return str(error)
