"""Runs the tests of the Iceberg sink where PyIceberg is: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.lakehouse import packages

_HERE = Path(__file__).parent
_SECONDS = 3_000.0  # for what takes a hundredth of it on a machine of its own

QUICK = (
    "two_first or is_committed or snapshot_tells or read_back or new_version or full_is_merged or divided"
    " or killed_at_once or cannot_be_meant or just_after_snapshots or nothing_to_warn or same_moment"
    " or taken_back or TestTypedTables or contracts_own"
)


def run(*words: str) -> str:
    site = packages("pyiceberg")
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(site)])
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *words]
    done = subprocess.run(
        [*argv, str(_HERE / "iceberg")],
        env={**os.environ, "PYTHONPATH": path},
        cwd=_HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    return done.stdout


def test_the_iceberg_sink_keeps_its_promises() -> None:
    assert " passed" in run("-k", QUICK)


@pytest.mark.slow
def test_the_iceberg_sink_keeps_its_promises_when_it_is_killed_and_over_a_long_time() -> None:
    assert " passed" in run("-m", "slow or not slow")
