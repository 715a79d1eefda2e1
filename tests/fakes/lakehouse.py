"""Packages that read and write open table formats, in folders of their own that build_servers.py fills.

They are not in the environment: there, others would take their presence for an answer to whether unsigned
numbers are kept (see the Makefile, test-readers).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 300.0  # for what takes three
_JUDGE = Path(__file__).parents[1] / "sinks" / "delta" / "judge.py"


def packages(name: str) -> Path:
    """Return the folder of some packages; skip where they could not be fetched."""
    folder = Path(os.environ.get("STELLARROW_LAKEHOUSE", Path(sys.prefix, "servers", "lakehouse"))) / name
    if not (folder / ".packages").is_file():
        pytest.skip(f"{folder} is not here: make servers fetches it from the Python package index")
    return folder


@dataclass(frozen=True)
class DeltaJudges:
    """deltalake and DuckDB, each in a process of its own for each question."""

    sites: dict[str, Path]

    def ask(self, reader: str, table: Path, asked: str = "rows") -> Any:
        argv = [
            sys.executable,
            "-W",
            "ignore",
            str(_JUDGE),
            str(self.sites[reader]),
            reader,
            str(table),
            asked,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS)
        assert done.returncode == 0, done.stderr[-2_000:]
        return json.loads(done.stdout)

    def rows(self, reader: str, table: Path) -> dict[int, int]:
        """Return how many rows a reader sees of each ledger."""
        return {int(ledger): rows for ledger, rows in self.ask(reader, table).items()}


@pytest.fixture(scope="session")
def delta_judges() -> DeltaJudges:
    return DeltaJudges({"deltalake": packages("deltalake"), "duckdb": packages("duckdb")})
