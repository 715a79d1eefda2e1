"""Asks for processes that die, and counts which of them did within a commit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WRITERS = 4
# Of the steps that a writer makes in commits. Twenty ranges take more steps than four writers can make
# without that one of them comes so far, so that in every round one dies within a commit.
_LAST_STEP = 12
_LONGEST = 0.05  # seconds that the others live longer


@dataclass(frozen=True, slots=True)
class Killed:
    """How processes ended, and how many of them a signal ended within a commit."""

    codes: list[int]
    inside: int


def run_in_processes(forks: subprocess.Popen[str], **job: Any) -> Killed:
    """Let processes write as `crash.py` has it; return how they ended."""
    assert forks.stdin
    assert forks.stdout
    forks.stdin.write(json.dumps(job) + "\n")
    forks.stdin.flush()
    return Killed(**json.loads(forks.stdout.readline()))


def kill_four_at_once(
    forks: subprocess.Popen[str],
    dice: random.Random,
    opening: str,
    tables: Sequence[str],
    ledgers: range,
) -> int:
    """Kill four writers of the same ledgers, one of them within a commit; return how many died in one.

    `opening` must call `step()` before whatever leaves a trace.
    """
    killed = run_in_processes(
        forks,
        openings=[opening] * WRITERS,
        tables=tables,
        ranges=[(ledger, min(ledger + 1, ledgers[-1])) for ledger in ledgers[::2]],
        commit_each=True,
        within=[dice.randint(1, _LAST_STEP) for _ in range(WRITERS)],
        seconds=dice.uniform(0, _LONGEST),
    )
    assert set(killed.codes) <= {0, -signal.SIGKILL}, killed.codes
    assert killed.inside, "none was killed within a commit"
    return killed.inside
