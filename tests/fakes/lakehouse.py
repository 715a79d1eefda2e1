"""Packages that read and write open table formats, in folders of their own that build_servers.py fills.

They are not in the environment: there, others would take their presence for an answer to whether unsigned
numbers are kept (see the Makefile, test-readers).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_SECONDS = 300.0  # for what takes three
_JUDGE = Path(__file__).parents[1] / "sinks" / "delta" / "judge.py"
_ICEBERG_JUDGE = Path(__file__).parents[1] / "sinks" / "iceberg" / "judge.py"


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


@dataclass(frozen=True)
class IcebergJudge:
    """DuckDB in a process of its own, which stays."""

    process: subprocess.Popen[str]

    def rows(self, metadata: str, table: str = "") -> dict[int, int]:
        """Return how many rows it sees of each ledger, by the metadata in a file.

        `table` is the folder where the table lies, if its files are not where they are said to be.
        """
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([metadata, table]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "DuckDB ended"
        found = json.loads(answer)
        assert "error" not in found, found
        return {int(ledger): rows for ledger, rows in found.items()}


@pytest.fixture(scope="session")
def iceberg_judge() -> Iterator[IcebergJudge]:
    argv = [sys.executable, "-W", "ignore", str(_ICEBERG_JUDGE), str(packages("duckdb"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield IcebergJudge(process)
        assert process.stdin
        process.stdin.close()


@pytest.fixture(scope="session")
def delta_judges() -> DeltaJudges:
    return DeltaJudges({"deltalake": packages("deltalake"), "duckdb": packages("duckdb")})
