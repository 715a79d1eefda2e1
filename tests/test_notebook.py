"""The notebook runs from top to bottom, and its plots show what it says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt

import stellarrow as sa

NOTEBOOK = Path(__file__).parents[1] / "docs" / "stellarrow.ipynb"


def cells(kind: str) -> list[str]:
    answer = json.loads(NOTEBOOK.read_text("utf-8"))
    return ["".join(cell["source"]) for cell in answer["cells"] if cell["cell_type"] == kind]


def test_every_cell_runs_and_three_plots_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    try:
        for number, source in enumerate(cells("code")):
            exec(compile(source, f"cell {number}", "exec"), names)  # noqa: S102
        drawn = [plt.figure(number) for number in plt.get_fignums()]
        bars = [sum(bar.get_bbox().height for bar in figure.axes[0].patches) for figure in drawn[:2]]  # type: ignore[attr-defined]
        swaps = sorted(int(bar.get_bbox().width) for bar in drawn[2].axes[0].patches)  # type: ignore[attr-defined]
        for number, figure in enumerate(drawn):
            figure.savefig(tmp_path / f"{number}.png", dpi=110)
    finally:
        plt.close("all")
    transactions = names["outcomes"].select("successful", "failed").sum().sum_horizontal().item()
    assert bars == [len(names["lumens"]), transactions]
    assert swaps == sorted(bought_most_often(names["exchange"], tmp_path / "lake.xdr"))
    assert names["swaps"]["spec_status"].unique().to_list() == ["decoded"]
    assert sorted(set(names["seen"])) == [1, 2]
    assert names["report"].rows["token_transfers"] == len(names["frame"]) > len(names["kept"]) > 0


def bought_most_often(exchange: str, lake: Path) -> list[int]:
    """Count the swaps of the eight tokens that have most, from the raw events."""
    events = sa.scan(lake, table="contract_events", network="synthetic", decoded=True).to_table().to_pylist()
    tokens = [
        one["topics_json"][1]
        for one in events
        if (one["contract_id"], one["event_name"]) == (exchange, "trade")
    ]
    return [count for _, count in Counter(tokens).most_common(8)]


def test_the_notebook_is_kept_without_outputs() -> None:
    answer = json.loads(NOTEBOOK.read_text("utf-8"))
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in answer["cells"])
    assert len(cells("markdown")) >= 6
