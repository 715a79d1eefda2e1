"""The figures of the capacity page are those that were measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPARE = """
import json, sys
sys.path.insert(0, "benchmarks")
import capacity
text = capacity.PAGE.read_text()
assert capacity.BEGIN in text and capacity.END in text
assert capacity.page(text, json.loads(capacity.RESULTS.read_text())) == text, "benchmarks/capacity.py --page"
"""


def test_the_page_shows_what_was_measured_last() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
