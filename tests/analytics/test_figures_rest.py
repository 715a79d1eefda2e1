"""Figures over REST are those of the rows that REST has."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from analytics.conftest import SECONDS, Serve, Served
from stellarrow.analysis.windows import Analytics

Oracle = Callable[[str], list[tuple[Any, ...]]]


def counted(served: Served, name: str, ledger: int) -> None:
    deadline = time.monotonic() + SECONDS
    while served.get(f"/v1/analytics/{name}").json()["as_of_ledger"] < ledger:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_figures_are_those_of_sql_over_the_stored_tables(
    serve: Serve, real_data: Path, oracle: Oracle
) -> None:
    served = serve(data=real_data)
    counted(served, "transfers", 58752000)
    found = served.get("/v1/analytics/transfers", window="24h", asset="native").json()["rows"]
    known = oracle("""
        select strftime(date_trunc('day', closed_at), '%Y-%m-%dT00:00:00Z'), sum(amount_raw)::varchar,
            count(*)
        from token_transfers where asset_type = 'native' and event_type = 'transfer' group by 1 order by 1""")
    assert [(row["window_start"], row["volume"], row["transfers"]) for row in found] == known
    top = served.get("/v1/analytics/transfers", window="total", top=3, by="transfers").json()["rows"]
    ranked = oracle("""
        select contract_id, count(*) from token_transfers where event_type = 'transfer'
        group by 1 order by 2 desc, 1 limit 3""")
    assert [(row["contract_id"], row["transfers"]) for row in top] == ranked


def test_a_page_names_the_ledger_that_its_figures_are_of(
    serve: Serve, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(data=real_data)
    counted(served, "transfers", 58752000)
    monkeypatch.setattr(Analytics, "ledgers", lambda *_: sa.LedgerRange(1, 99))  # what is asked later
    page = served.get("/v1/analytics/transfers", window="24h").json()
    assert page["as_of_ledger"] == page["rows"][-1]["as_of_ledger"] > 99


def test_the_list_says_which_figures_there_are(serve: Serve, real_data: Path) -> None:
    served = serve(data=real_data)
    told = served.get("/v1/analytics").json()
    assert [one["name"] for one in told["analytics"]] == ["network", "transfers", "events", "storage"]


def test_figures_that_cannot_be_asked_are_refused(serve: Serve, real_data: Path) -> None:
    served = serve(data=real_data)
    for path, status in (
        ("/v1/analytics/nothing", 404),
        ("/v1/analytics/network?asset=native", 400),
        ("/v1/analytics/transfers?window=2h", 400),
        ("/v1/analytics/transfers?from=soon", 400),
        ("/v1/analytics/transfers?top=5&asset=native", 400),
        ("/v1/analytics/transfers?top=5&by=nothing", 400),
    ):
        assert served.get(path).status_code == status, path


@pytest.mark.parametrize(
    ("name", "given", "field"),
    [
        ("transfers", {"window": "1h", "from": "abc"}, "from"),
        ("network", {"window": "1h", "asset": "native"}, "asset"),
        ("transfers", {"window": "1h", "by": "volume"}, "by"),
        ("transfers", {"top": "5", "to": "2024-01-01"}, "top"),
        ("network", {"window": "1h", "top": "5"}, "top"),
    ],
)
def test_of_several_parameters_the_wrong_one_is_named(
    served: Served, name: str, given: dict[str, str], field: str
) -> None:
    answer = served.get(f"/v1/analytics/{name}", **given)
    assert (answer.status_code, answer.json().get("field")) == (400, field)
