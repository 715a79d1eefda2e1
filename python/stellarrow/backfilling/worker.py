"""A worker of a backfill: `python -m` of this reads a task as JSON, does it, and writes what came of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from typing import Final

from stellarrow.backfilling.work import Task, work
from stellarrow.errors import StellarrowError
from stellarrow.filter import Filter

FAILED: Final = 3  # the exit code of one that said why


def main() -> int:
    """Do the task that stdin tells; SIGTERM ends it with what is in hand durable."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells all processes; who drives decides
    told = json.load(sys.stdin)
    if isinstance(where := told["choices"].get("where"), dict):
        told["choices"]["where"] = Filter(**where)
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
