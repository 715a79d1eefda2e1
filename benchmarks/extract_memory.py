"""Watches the resident memory of `stellarrow extract` over a long run of synthetic ledgers."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cases import THREE_TABLES

LEDGER_BYTES = 1_300_000
PEAK_GOAL_MB = 400
# The last quarter of the samples may lie this much above the second; the first one is the start.
FLAT_GOAL = 1.10
INTERVAL_SECONDS = 0.25
LEAST_SAMPLES = 8  # two a quarter
COMMAND = (sys.executable, "-c", "from stellarrow.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory over one extraction in MB, sampled evenly; without samples, why there are none."""

    ledgers: int = 0
    gigabytes: float = 0.0
    seconds: float = 0.0
    peak_mb: float = 0.0
    resident_mb: tuple[float, ...] = ()
    reason: str = ""

    @property
    def growth(self) -> float:
        """Return the mean of the last quarter of the samples over that of the second."""
        quarter = len(self.resident_mb) // 4
        second, last = self.resident_mb[quarter : 2 * quarter], self.resident_mb[-quarter:]
        return statistics.fmean(last) / statistics.fmean(second)


def watch(gigabytes: float, folder: Path, *, say: Callable[[str], None]) -> Memory:
    """Make so much XDR as a lake in the folder, then extract it all."""
    ledgers = max(1, round(gigabytes * 1e9 / LEDGER_BYTES))
    lake, out = folder / "lake", folder / "out"
    say(f"extract: making {ledgers:,} synthetic ledgers, {gigabytes:g} GB of XDR")
    made = subprocess.run(
        [*COMMAND, "synth", "--ledgers", str(ledgers), "--size", str(LEDGER_BYTES), "--out", str(lake)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        return Memory(reason=last_line(made.stderr))
    say(f"extract: {made.stdout.strip()}; extracting")
    try:
        return extract(lake, out)
    finally:
        shutil.rmtree(lake)


def extract(lake: Path, out: Path) -> Memory:
    """Run the command line as anybody would and sample the process until it ends."""
    argv = [*COMMAND, "extract", str(lake), "--tables", THREE_TABLES, "--to", f"parquet:{out}"]
    resident: list[float] = []
    peak = 0.0
    errors = out.with_suffix(".stderr")
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*argv, "--network", "synthetic", "--json"], stdout=subprocess.PIPE, stderr=stderr, text=True
        )
        while process.poll() is None:
            if (now := sample(process.pid)) is not None:
                resident.append(now[0])
                peak = max(peak, now[1])
            time.sleep(INTERVAL_SECONDS)
        answer, _ = process.communicate()
    if process.returncode:
        return Memory(reason=last_line(errors.read_text()))
    if len(resident) < LEAST_SAMPLES:
        return Memory(reason=f"extract ended after {len(resident)} samples: give it more data")
    report = json.loads(answer)
    return Memory(report["ledgers"], report["bytes"] / 1e9, report["seconds"], peak, tuple(resident))


def sample(pid: int) -> tuple[float, float] | None:
    """Return the resident memory now and at its highest, in MB; None once the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    kib = dict(line.split(":", 1) for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM")))
    if "VmRSS" not in kib or "VmHWM" not in kib:
        return None
    return megabytes(kib["VmRSS"]), megabytes(kib["VmHWM"])


def megabytes(field: str) -> float:
    """Read a field of /proc/PID/status, whose "kB" are 1,024 bytes."""
    return int(field.split(maxsplit=1)[0]) * 1024 / 1e6


def last_line(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1]
