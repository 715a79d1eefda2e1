"""Runs a sink in processes that die: one interpreter that is warm, a fork of it for each try.

Reads a JSON object a line: the Python sources that open the sink as `sink`, the ranges to write, and when to
die: at the n-th `step()` that a source calls, or after so many seconds. Or, with `within`, one of several
writers kills itself at the n-th step that it makes in commits, and the others are killed so many seconds
later. Answers with the exit codes, and how many writers a signal ended within `sink.commit()`.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic

DIED = 77
_POLL_SECONDS = 0.002


class Moments:
    """When one writer is to die; whether it is within a commit, others see by a byte of shared memory."""

    def __init__(self, shared: mmap.mmap, at: int, *, step: int | None, within: int | None) -> None:
        self._shared = shared
        self._at = at
        self._step = step or -1
        self._within = within or -1

    def step(self) -> None:
        self._step -= 1
        if not self._step:
            os._exit(DIED)
        if self._shared[self._at]:
            self._within -= 1
            if not self._within:
                os.kill(os.getpid(), signal.SIGKILL)

    def commit(self, sink: Any) -> None:
        self._shared[self._at] = 1
        sink.commit()
        self._shared[self._at] = 0


def keep(opening: str, job: dict[str, Any], ledgers: list[bytes], moments: Moments) -> None:
    names: dict[str, Any] = {"step": moments.step}
    exec(opening, names)  # noqa: S102  a test's own source
    decoder = sa.Decoder(job["tables"], network="synthetic")
    for first, last in job["ranges"]:
        data = frame(ledgers[first - 100 : last - 99], "record-marked")
        names["sink"].write(decoder(sa.LedgerChunk(data, "record-marked", first, last, "memory")))
        if job.get("commit_each"):
            moments.commit(names["sink"])
    moments.commit(names["sink"])
    names["sink"].close()


def warm(openings: Sequence[str]) -> None:
    """Import here what openings import, so that no fork takes the time for it."""
    for line in dict.fromkeys(line for opening in openings for line in opening.splitlines()):
        if line.startswith(("from ", "import ")):
            exec(line, {})  # noqa: S102  a test's own source


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def wait_for_death(children: Sequence[int]) -> None:
    """Wait until a signal ended one of them, or all have ended."""
    while True:
        ended = [os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) for child in children]
        if all(ended) or any(one and one.si_code == os.CLD_KILLED for one in ended):
            return
        time.sleep(_POLL_SECONDS)


def run(job: dict[str, Any], ledgers: list[bytes]) -> dict[str, Any]:
    openings, within = job["openings"], job.get("within") or []
    warm(openings)
    with mmap.mmap(-1, len(openings)) as shared:
        children = []
        for at, opening in enumerate(openings):
            moments = Moments(
                shared, at, step=job.get("step"), within=within[at] if at < len(within) else None
            )
            children.append(forked(lambda: keep(opening, job, ledgers, moments)))  # noqa: B023  forked now
        if within:
            wait_for_death(children)
        if job.get("seconds") is not None:
            time.sleep(job["seconds"])
            for child in children:
                os.kill(child, signal.SIGKILL)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        inside = sum(code == -signal.SIGKILL and shared[at] for at, code in enumerate(codes))
    return {"codes": codes, "inside": inside}


def main() -> None:
    ledgers = list(islice(synthetic(20, first=100, ledger_bytes=4_096), 40))
    warm(["from stellarrow.core.decode import Decoder"])
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), ledgers)), flush=True)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])  # not this folder, whose names are those of packages
    main()
