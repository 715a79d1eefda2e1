"""The pieces of docs/backfill.md for other engines, run as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.engines import engine, environment

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "backfill.md"
BLOCKS = dict(re.findall(r"```python\n# (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL))


@pytest.mark.parametrize("name", ["dask", "daft"])
def test_the_piece_counts_what_a_scan_counts(
    make_lake: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    site = engine(name)
    lake = make_lake()
    (tmp_path / "piece.py").write_text(BLOCKS[name])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "piece.py"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(site), timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    names = sa.scan(lake, table="contract_events").to_table().column("event_name").to_pylist()
    for event, count in Counter(names).items():
        assert event in done.stdout
        assert str(count) in done.stdout
    if name == "dask":
        written = sa.scan(tmp_path / "out", table="contract_events").to_table()
        assert written.num_rows == len(names)
