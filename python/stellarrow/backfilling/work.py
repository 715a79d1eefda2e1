"""One piece of a backfill: an ordinary run over some ledgers, told and reported as plain values.

`python -m stellarrow.backfilling.work` does one: it reads a task as JSON and writes what came of it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from stellarrow.errors import StellarrowError
from stellarrow.running import run

FAILED: Final = 3  # the exit code of one that said why


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
    return Done(report.ledgers, report.bytes, dict(report.rows), time.process_time() - began)


def main() -> int:
    """Do the task that stdin tells; SIGTERM ends it with what is in hand durable."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells all processes; who drives decides
    told = json.load(sys.stdin)
    task = Task(**{**told, "tables": tuple(told["tables"]), "sinks": tuple(told["sinks"])})
    try:
        done = work(task, stop)
    except StellarrowError as error:
        print(json.dumps({"kind": type(error).__name__, "message": str(error)}), flush=True)
        return FAILED
    print(json.dumps(asdict(done)), flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
