"""The pipeline as a call on places that are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import stellarrow as sa

Make = Callable[..., Path]


def test_places_are_opened_by_name_and_closed(make_lake: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen: list[int] = []
    call = {"tables": ["contract_events"], "sinks": [f"parquet:{out}"], "ledgers": "100:119"}
    report = sa.run(make_lake(), **call, progress=lambda state: seen.append(state.ledgers))  # type: ignore[arg-type]
    assert (report.ledgers, seen[-1]) == (20, 20)
    again = sa.run(str(make_lake()), **call)  # type: ignore[arg-type]
    assert (again.ledgers, again.skipped) == (0, 20)
    assert len(pa.table(sa.scan(out, table="contract_events"))) == report.rows["contract_events"]


def test_rows_and_columns_are_chosen_in_sql(make_lake: Make, tmp_path: Path) -> None:
    out, lake = tmp_path / "out", make_lake()
    where, select = "event_index = 0", "contract_id, event_index + 1 as place"
    sa.run(lake, tables=["contract_events"], sinks=[f"parquet:{out}"], where=where, select=select)
    kept = pa.table(sa.scan(out, table="contract_events"))
    assert kept.schema.names == ["ledger_sequence", "contract_id", "place"]
    direct = sa.scan(lake, table="contract_events", where=where, columns=["contract_id"])
    assert sorted(kept["contract_id"].to_pylist()) == sorted(pa.table(direct)["contract_id"].to_pylist())
    assert set(kept["place"].to_pylist()) == {1}


@pytest.mark.parametrize("other", [{"where": "event_index = 1"}, {"select": "contract_id"}, {}])
def test_another_condition_or_projection_is_not_mixed_in(
    make_lake: Make, tmp_path: Path, other: dict[str, str]
) -> None:
    place = [f"parquet:{tmp_path}/out"]
    lake = make_lake()
    sa.run(lake, tables=["contract_events"], sinks=place, where="event_index = 0", ledgers="100:109")
    with pytest.raises(sa.SchemaMismatch, match="was written with filter"):
        sa.run(lake, tables=["contract_events"], sinks=place, **other)  # type: ignore[arg-type]


def test_a_wrong_expression_leaves_nothing_behind(make_lake: Make, tmp_path: Path) -> None:
    with pytest.raises(sa.ConfigError, match="did you mean 'event_index'"):
        sa.run(
            make_lake(), tables=["contract_events"], sinks=[f"parquet:{tmp_path}/out"], where="event_indx = 0"
        )
    assert not (tmp_path / "out").exists()


def test_postgresql_takes_whole_rows_alone(make_lake: Make) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(sa.ConfigError, match="PostgreSQL's tables have all columns: leave select out"):
        sa.run(
            make_lake(),
            tables=["contract_events"],
            sinks=["postgres://nobody@127.0.0.1:1/nothing"],
            select="contract_id",
        )
