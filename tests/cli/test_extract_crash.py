"""Killed at any moment and started again, extract ends with the files of an undisturbed run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network


def extract(lake: Path, out: Path) -> list[str]:
    command = [sys.executable, "-m", "stellarrow.cli", "extract", str(lake), "--workers", "2"]
    return [
        *command,
        "--tables",
        "ledgers,contract_data,contract_events",
        "--to",
        f"parquet:{out}?ledgers=10",
    ]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def crash_and_compare(tmp_path: Path, *, ledgers: int, rounds: int) -> None:
    lake = tmp_path / "lake"
    made = islice(synthetic(50, first=95, ledger_bytes=40_000), ledgers)
    write_lake(lake, made, first=95, network=Network.of("synthetic"))
    began = time.monotonic()
    subprocess.run(extract(lake, tmp_path / "whole"), check=True, capture_output=True)
    whole = time.monotonic() - began
    expected = content(tmp_path / "whole")
    dice = random.Random(7)  # noqa: S311
    killed = 0
    for at in range(rounds):
        out = tmp_path / f"out-{at}"
        for _ in range(3):
            process = subprocess.Popen(
                extract(lake, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(dice.uniform(0.3, 1.0) * whole)
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        subprocess.run(extract(lake, out), check=True, capture_output=True)
        assert content(out) == expected
    assert killed > rounds / 2  # or nothing was tried


def test_a_killed_extract_ends_in_the_same_bytes(tmp_path: Path) -> None:
    crash_and_compare(tmp_path, ledgers=120, rounds=2)


@pytest.mark.slow
def test_an_extract_killed_many_times_ends_in_the_same_bytes(tmp_path: Path) -> None:
    crash_and_compare(tmp_path, ledgers=400, rounds=25)
