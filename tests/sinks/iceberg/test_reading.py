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
from sinks.iceberg.made import table_of
from sinks.iceberg.opening import configure
from sinks.typed_tables import MOVED, TypedReadBack, all_kinds, of_ledger, write
from stellarrow.core.typed import Knowledge
from typed_specs import CONTRACT, event_of, interface

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


class TestTypedTables(TypedReadBack):
    @pytest.fixture
    def place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        for name in ("TYPE", "URI", "WAREHOUSE"):
            monkeypatch.setenv(f"PYICEBERG_CATALOG__TEST__{name}", "")
        configure(tmp_path / "out")
        return PLACE


def test_pyiceberg_reads_contracts_own_tables_with_the_columns_that_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("TYPE", "URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__TEST__{name}", "")
    configure(tmp_path / "out")
    kinds, values = all_kinds()
    for ledger, count in ((1, 3), (2, len(kinds))):
        known = Knowledge([MOVED], {CONTRACT: interface([*kinds[:count]], 0)})
        tables = known.tables()
        rows = tables.rows(CONTRACT, events=[event_of([*one[:count]], 0) for one in values])[MOVED]
        write(PLACE, {MOVED: of_ledger(rows, ledger)}, ledger)
    table = table_of(MOVED)
    assert table.name()[-1].startswith("typed_caaaaaaaaaaa_moved")
    held = {row["event_index"]: row for row in table.scan("ledger_sequence = 2").to_arrow().to_pylist()}
    last = f"p{len(kinds) - 2}"
    for at, row in enumerate(rows.to_pylist()):
        assert (held[at]["p0"], held[at][last]) == (row["p0"], row[last])
    before = table.scan("ledger_sequence = 1").to_arrow()
    assert (before["p0"].null_count, before[last].null_count) == (0, len(values))
    assert not [record for record in caplog.records if record.name.startswith("pyiceberg")]
