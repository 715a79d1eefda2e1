"""The figures of the capacity page are those that were measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPARE = """
import json, sys
sys.path.insert(0, "benchmarks")
import {name} as measured
text = measured.PAGE.read_text()
assert measured.BEGIN in text and measured.END in text
if not measured.RESULTS.is_file():
    assert measured.BEGIN + measured.END in text, "figures that nobody measured"
    sys.exit()
assert measured.page(text, json.loads(measured.RESULTS.read_text())) == text, "benchmarks/{name}.py --page"
"""


@pytest.mark.parametrize("name", ["capacity", "cores"])
def test_the_page_shows_what_was_measured_last(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE.format(name=name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
