"""Files and Delta tables are kept apart: neither is written over the other, nor taken for damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def extracted(stellarrow: Run, tmp_path: Path, make_lake: Callable[..., Path]) -> Callable[[str], Any]:
    """Extract ledgers into a place, named with its form."""

    def to(form: str) -> Any:
        return stellarrow("extract", make_lake(), "--tables", "ledgers", "--to", f"{form}:{tmp_path}/place")

    return to


def test_files_are_not_written_into_a_delta_table(extracted: Callable[[str], Any], tmp_path: Path) -> None:
    assert extracted("delta").code == 0
    before = sorted(tmp_path.rglob("*"))
    done = extracted("parquet")
    assert (done.code, "ledgers is a Delta table: name delta:" in done.err) == (2, True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_delta_table_is_not_made_of_files(extracted: Callable[[str], Any]) -> None:
    assert extracted("parquet").code == 0
    done = extracted("delta")
    assert (done.code, "ledgers is a table of plain files: name parquet:" in done.err) == (2, True)


@pytest.mark.parametrize("command", ["check", "coverage"])
def test_delta_tables_named_as_files_are_told_and_never_called_foreign(
    extracted: Callable[[str], Any], stellarrow: Run, tmp_path: Path, command: str
) -> None:
    assert extracted("delta").code == 0
    done = stellarrow(command, tmp_path / "place")
    assert (done.code, "is a Delta table: name delta:" in done.err) == (2, True)
    assert "remove it" not in done.out + done.err
