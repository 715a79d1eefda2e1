"""The lines of docs/files.md for other readers, run as printed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.cli import invoke

DOCS = Path(__file__).parents[2] / "docs" / "files.md"


def as_rows(found: Any) -> int:
    if isinstance(found, pa.Table):
        return int(found.num_rows)
    rows = found.fetchall() if hasattr(found, "fetchall") else found
    return len(rows)


@pytest.mark.parametrize("partition", ["ledgers", "event_type", "contract_id", "hour"])
def test_other_readers_read_a_table_as_the_guide_says(
    make_lake: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, partition: str
) -> None:
    for name in ("duckdb", "pandas", "polars"):
        pytest.importorskip(name)
    lake = make_lake()
    monkeypatch.chdir(tmp_path)
    place = f"parquet:out?ledgers=10&partition={partition}"
    assert invoke(["extract", str(lake), "--tables", "contract_events", "--to", place]) == 0
    expected = sa.scan("out", table="contract_events").to_reader().read_all()
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "pl." in block
    )
    names: dict[str, Any] = {}
    asked = 0
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            found = eval(ast.unparse(statement.value), names)  # noqa: S307  our own docs
            assert as_rows(found) == expected.num_rows, ast.unparse(statement)
            assert (
                list(found.column_names if isinstance(found, pa.Table) else found.columns)
                == expected.column_names
            )
            asked += 1
        else:
            exec(ast.unparse(statement), names)  # noqa: S102
    assert asked == 4
