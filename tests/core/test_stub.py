"""The stub says what the binary does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_stub_matches_the_binary(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "stellarrow._core", "--ignore-disjoint-bases"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert found.returncode == 0, found.stdout
