"""What was written is read back by the commands and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

import stellarrow as sa
from sinks.holes import assert_told, hole_told
from sinks.iceberg.opening import configure

Run = Callable[..., Any]
PLACE = "iceberg:test/stellar?ledgers=10"


def test_what_was_written_is_read_back_checked_and_compacted(
    tmp_path: Path, stellarrow: Run, make_lake: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TYPE", "URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__TEST__{name}", "")
    configure(tmp_path / "out")
    lake = make_lake()
    assert "holds no table" in stellarrow("coverage", PLACE).err
    for ledgers in ("100:104", "105:119", "130:139"):
        words = ("--tables", "ledgers,contract_data", "--ledgers", ledgers, "--to", PLACE)
        done = stellarrow("extract", lake, *words)
        assert done.code == 0, done.err
    with hole_told("contract_data"):
        found = sa.scan(PLACE, table="contract_data")
    assert_told(PLACE, stellarrow)
    assert found.schema == sa.schema("contract_data")
    rows = found.to_table()["ledger_sequence"].to_pylist()
    assert rows == sorted(rows)
    done = stellarrow("coverage", PLACE, "--verify", "--json")
    assert done.code == 0, done.out
    assert {one["ledgers"] for one in json.loads(done.out)["tables"]} == {"100:119, 130:139"}
    asked = stellarrow("sql", "select count(*) as n from ledgers", "--data", PLACE, "--json")
    assert json.loads(asked.out) == {"n": 30}
    merged = stellarrow("compact", PLACE, "--ledgers-per-file", "20", "--json")
    assert json.loads(merged.out)["merged"] in (4, 6)  # the sink itself merges 100 to 109, if it has time
    assert "nothing to merge" in stellarrow("compact", PLACE, "--ledgers-per-file", "20").out
    assert "2 tables of 2 sound" in stellarrow("check", PLACE).out
    assert "cannot be repaired" in stellarrow("check", PLACE, "--repair").err
    assert "answers, 2 tables there" in stellarrow("doctor", "--to", PLACE).out
    with hole_told("contract_data"):
        assert sa.scan(PLACE, table="contract_data").to_table()["ledger_sequence"].to_pylist() == rows
