"""Measures what a fresh interpreter pays: for the import, and for the first call over the later ones."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builds import HERE
from cases import THREE_TABLES
from corpora import Corpus

from stellarrow.core.synthetic import synthetic

IMPORT_GOAL_MS = 150
FIRST_CALL_GOAL_MS = 5
VERSION_GOAL_MS = 120
EXTRACT_GOAL_MS = 400
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


def commands(*, repeat: int) -> list[Times]:
    """Take the processor time of whole commands, all threads together; the first round does not count."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small.xdr")
        small.write_bytes(next(synthetic(1, first=100, ledger_bytes=4_096)))
        extract = ["extract", str(small), "--tables", "ledgers", "--network", "synthetic"]
        return [
            taking("stellarrow --version", repeat, folder, lambda _: ["--version"]),
            taking(
                "stellarrow extract of a small file into Parquet",
                repeat,
                folder,
                lambda number: [*extract, "--to", f"parquet:{folder}/{number}", "--state-dir", folder],
            ),
        ]


def taking(label: str, repeat: int, folder: str, words: Callable[[int], list[str]]) -> Times:
    """Run a command again and again, its modules compiled as an installed package has them."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(Path(folder, "compiled"))
    taken: list[float] = []
    for number in range(repeat + 1):
        before = used()
        argv = [sys.executable, "-m", "stellarrow.cli", *words(number)]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            return Times(label, reason=done.stderr.strip().splitlines()[-1])
        if number:
            taken.append((used() - before) * 1_000)
    return Times(f"{label}, CPU", tuple(taken))


def used() -> float:
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of_children.ru_utime + of_children.ru_stime


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
