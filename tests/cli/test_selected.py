"""Tables of which some columns alone were extracted: every face does without the others, or names them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from analytics.conftest import PORTS, Served
from stellarrow.config import Analytics, read
from stellarrow.services.analytics import AnalyticsService

Run = Callable[..., Any]
Lake = Callable[..., Path]
LACKS = "contract_events was extracted without closed_at, which this needs: extract it into another place"


@pytest.fixture(
    params=["parquet:{}", "jsonl:{}", "parquet:{}?partition=event_type", "delta:{}", "duckdb:{}/a.db"]
)
def place(request: pytest.FixtureRequest, stellarrow: Run, make_lake: Lake, tmp_path: Path) -> str:
    """Return where contract_events are, of a few columns, in words of `--data` and `coverage`."""
    pytest.importorskip("duckdb")
    location = request.param.format(tmp_path / "out")
    choice = ("--tables", "contract_events", "--select", "transaction_hash, event_type")
    done = stellarrow("extract", make_lake(), *choice, "--to", location)
    assert done.code == 0, done.err
    return str(location.partition("?")[0])


def test_coverage_says_nothing_of_when_a_ledger_closed_that_no_column_tells(
    stellarrow: Run, place: str
) -> None:
    for flags in ((), ("--verify",), ("--ledgers", "100:139")):
        answer = stellarrow("coverage", place, *flags)
        assert (answer.code, answer.err) == (0, "")
        assert "40" in answer.out


def test_what_a_question_needs_and_a_table_lacks_is_named(stellarrow: Run, place: str) -> None:
    asked = stellarrow("coverage", place, "--ledgers", "2023-11-14:")
    assert (asked.code, LACKS in asked.err) == (1, True), asked.err
    source = place.removeprefix("parquet:") if place.startswith("parquet:") else place
    with pytest.raises(sa.SinkError, match="without closed_at"):
        sa.scan(source, table="contract_events", start="2023-11-14")
    with pytest.raises(sa.SinkError, match=r"contract_events.* was extracted without"):
        sa.analytics(source, "events", window="total")
    assert sa.scan(source, table="contract_events").schema.names == [
        *("ledger_sequence", "transaction_hash", "event_type")
    ]


def test_a_lifecycle_names_the_table_whose_age_nothing_tells_and_goes_on(
    stellarrow: Run, make_lake: Lake, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for tables, select in (("contract_events", "event_type"), ("transactions", "closed_at, account")):
        line = ("extract", make_lake(), "--tables", tables, "--select", select, "--to", f"parquet:{out}")
        assert stellarrow(*line).code == 0
    policy = ("--parquet-policy", "archive 1d", "--archive", tmp_path / "old")
    done = stellarrow("lifecycle", "run", out, *policy)
    assert (done.code, LACKS in done.out + done.err) == (1, True)
    assert "archive: transactions" in done.out
    assert stellarrow("extract", make_lake(), "--tables", "ledgers", "--to", f"parquet:{out}").code == 0
    assert "archive: contract_events" in stellarrow("lifecycle", "run", out, *policy).out


def test_the_analytics_service_leaves_out_what_it_cannot_read_in_order(
    stellarrow: Run, make_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    for choice in (("contract_events", "--select", "closed_at, event_type"), ("ledgers",)):
        assert stellarrow("extract", make_lake(), "--tables", *choice, "--to", f"parquet:{out}").code == 0
    given = {**PORTS, "data": str(out), "state_dir": str(tmp_path / "state")}
    with closing(Served(AnalyticsService(read(Analytics, given, environ={})))) as served:
        served.service.start()
        assert served.get("/v1/tables/ledgers/rows").status_code == 200
        assert served.get("/v1/tables/contract_events/rows").status_code == 404
        assert [*served.get("/v1/status").json()["tables"]] == ["ledgers"]
    (left_out,) = [one for one in caplog.messages if "is not served" in one]
    assert "contract_events was extracted without transaction_index, operation_index" in left_out
    named = read(Analytics, {**given, "tables": "contract_events"}, environ={})
    with pytest.raises(sa.SinkError, match="contract_events was extracted without transaction_index"):
        AnalyticsService(named)
