"""Measure a backfill by one worker and by two, each on a processor of its own: see README.md beside it."""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import machine
import report
from player import cores

from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

TABLES = "ledgers,contract_data,contract_events"
LEDGER_BYTES = 1_000_000
LEDGERS_A_FILE = 10
GOAL = 0.9
RERUN_GOAL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one backfill took: on the clock, and of processors, the driver's included."""

    seconds: float
    cpu_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    free = sorted(cores())
    if len(free) < 2:
        print("backfill: this process may use one core only, so two workers are not measured")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        made = islice(synthetic(200, first=100, ledger_bytes=LEDGER_BYTES), chosen.ledgers)
        write_lake(lake, made, first=100, network=Network.of("synthetic"))
        runs: dict[int, list[Run]] = {1: [], 2: []}
        again: list[Run] = []
        for number in range(chosen.rounds):
            for workers in (1, 2):
                place = Path(folder) / f"out-{number}-{workers}"
                runs[workers].append(backfill(lake, place, workers, free[:workers]))
            again.append(backfill(lake, place, 2, free[:2]))
    print(json.dumps(machine.describe()))
    print(told(runs[1], runs[2], again))
    return 0


def backfill(lake: Path, place: Path, workers: int, pinned: Sequence[int]) -> Run:
    """Run the command line on these processors alone; its workers inherit them."""
    argv = [sys.executable, "-m", "stellarrow.cli", "backfill", str(lake), "--tables", TABLES]
    argv += ["--to", f"parquet:{place}?ledgers={LEDGERS_A_FILE}", "--workers", str(workers), "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(argv, check=True, capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, pinned))
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds, used)


def told(one: Sequence[Run], two: Sequence[Run], again: Sequence[Run]) -> str:
    """Return the table of what was measured; efficiency is the work done a processor second of the clock."""
    wall = median(one, "seconds") / (2 * median(two, "seconds"))
    cpu = median(one, "cpu_seconds") / median(two, "cpu_seconds")
    rows = [
        (name, f"{median(runs, 'seconds'):.2f} s", f"{median(runs, 'cpu_seconds'):.2f} s", more)
        for name, runs, more in (
            ("one worker", one, ""),
            ("two workers", two, f"efficiency {wall:.2f} by the clock, {cpu:.2f} by CPU; goal {GOAL}"),
            ("the finished job again", again, f"goal {RERUN_GOAL_SECONDS:.0f} s"),
        )
    ]
    return report.table(("backfill", "wall", "CPU", ""), rows)


def median(runs: Sequence[Run], what: str) -> float:
    return statistics.median({"seconds": run.seconds, "cpu_seconds": run.cpu_seconds}[what] for run in runs)


if __name__ == "__main__":
    sys.exit(main())
