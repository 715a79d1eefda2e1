"""A backfill on a Ray cluster of this machine, in a network of its own, as Ray listens on every address."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

import stellarrow as sa

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed: make test-engines"),
]


def alone() -> list[str]:
    """Return what runs a command in a network of its own, with its loopback up."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare -n is not allowed here: it needs root")
    return [unshare, "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def workers_below(parent: int) -> list[int]:
    """Return the processes below one in which Ray runs a task."""
    below, found = {parent}, []
    for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        try:
            pid, rest = int(path.parent.name), path.read_text().rpartition(")")[2].split()
            line = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(rest[1]) in below:
            below.add(pid)
            if line.startswith(b"ray::_answered"):
                found.append(pid)
    return found


def test_ray_workers_that_are_killed_are_replaced_and_every_ledger_is_there_once(
    make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "stellarrow.cli", "backfill", str(make_lake()), "--engine", "ray"]
    dice, killed, number = random.Random(7), 0, 0  # noqa: S311
    while killed < 50:
        number += 1
        place = tmp_path / str(number)
        argv = [*alone(), *command, "--tables", "ledgers", "--to", f"parquet:{place}?ledgers=2", "--json"]
        argv += ["--workers", "2"]
        with (tmp_path / "log").open("w") as log:
            driver = subprocess.Popen(
                argv,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            )
            while driver.poll() is None:
                time.sleep(dice.uniform(0.05, 0.5))
                if workers := workers_below(driver.pid):
                    with suppress(ProcessLookupError):  # it ended by itself just now
                        os.kill(dice.choice(workers), signal.SIGKILL)
                        killed += 1
        assert driver.stdout
        answer = driver.stdout.read()
        assert driver.returncode == 0, (tmp_path / "log").read_text()
        assert json.loads(answer)["total"] == 40
        rows = sa.scan(place, table="ledgers").to_table().column("ledger_sequence").to_pylist()
        assert sorted(rows) == list(range(100, 140))
