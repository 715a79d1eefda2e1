"""Runs a sink in processes that die: one interpreter that is warm, a fork of it for each try.

Reads a JSON object a line: the Python source that opens the sink as `sink`, the ranges to write, and when to
die: at the n-th `step()` that source calls, or after so many seconds, or so long after there are so many
files of a pattern. Answers with the exit code. Several sources run at once, and the worst exit code is the
answer.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic

DIED = 77
_SECONDS = 120.0  # for files to come that come within one


def counted(dies_at: int | None) -> Callable[[], None]:
    left = dies_at or -1

    def step() -> None:
        nonlocal left
        left -= 1
        if not left:
            os._exit(DIED)

    return step


def keep(opening: str, job: dict[str, Any], ledgers: list[bytes]) -> None:
    names: dict[str, Any] = {"step": counted(job.get("step"))}
    exec(opening, names)  # noqa: S102  a test's own source
    decoder = sa.Decoder(job["tables"], network="synthetic")
    for first, last in job["ranges"]:
        data = frame(ledgers[first - 100 : last - 99], "record-marked")
        names["sink"].write(decoder(sa.LedgerChunk(data, "record-marked", first, last, "memory")))
        if job.get("commit_each"):
            names["sink"].commit()
    names["sink"].commit()
    names["sink"].close()


def forked(opening: str, job: dict[str, Any], ledgers: list[bytes]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        keep(opening, job, ledgers)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait_for_files(pattern: str, count: int) -> None:
    """Wait until there are so many files, however slow the machine is."""
    deadline = time.monotonic() + _SECONDS
    while len(glob.glob(pattern)) < count and time.monotonic() < deadline:
        time.sleep(0.002)


def main() -> None:
    ledgers = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 40))
    for line in sys.stdin:
        job = json.loads(line)
        children = [forked(opening, job, ledgers) for opening in job["openings"]]
        if job.get("until"):
            wait_for_files(*job["until"])
        if job.get("seconds") is not None:
            time.sleep(job["seconds"])
            for child in children:
                os.kill(child, signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(max(codes, key=abs), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main()
