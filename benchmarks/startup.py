"""Measures what a fresh interpreter pays: for the import, and for the first call over the later ones."""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from builds import HERE
from cases import THREE_TABLES
from corpora import Corpus

IMPORT_GOAL_MS = 150
FIRST_CALL_GOAL_MS = 5
PROGRAMS = ("pass", "import pyarrow", "import stellarrow")


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of repeated runs; without any, why there are none."""

    label: str
    ms: tuple[float, ...] = ()
    reason: str = ""

    @property
    def best(self) -> float:
        return min(self.ms)

    @property
    def median(self) -> float:
        return statistics.median(self.ms)


def imports(*, repeat: int) -> list[Times]:
    """Time whole interpreters, start to exit, in turns; the first round fills caches and does not count."""
    taken: dict[str, list[float]] = {program: [] for program in PROGRAMS}
    reasons: dict[str, str] = {}
    for number in range(repeat + 1):
        for program in PROGRAMS:
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=False
            )
            if done.returncode:
                reasons[program] = done.stderr.strip().splitlines()[-1]
            elif number:
                taken[program].append((time.perf_counter() - start) * 1000)
    return [
        Times(f"python -c '{program}'", reason=reasons[program])
        if program in reasons
        else Times(f"python -c '{program}'", tuple(taken[program]))
        for program in PROGRAMS
    ]


def first_call(corpus: Corpus, *, repeat: int) -> Times:
    """Time the first decode of fresh processes less the median of the later ones in the same process."""
    label = f"first decode of {corpus.name} less a later one"
    argv = [sys.executable, str(HERE / "first_call.py"), str(corpus.raw), THREE_TABLES, corpus.passphrase]
    extra: list[float] = []
    for number in range(repeat + 1):
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            return Times(label, reason=done.stderr.strip().splitlines()[-1])
        measured = json.loads(done.stdout)
        if number:
            extra.append(measured["first_ms"] - measured["later_ms"])
    return Times(label, tuple(extra))
