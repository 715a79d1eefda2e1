"""Who asks for ledgers that were archived or deleted is told, and where they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from lifecycle.aged import DAY, Aged
from stellarrow.ledgers.dates import shown
from stellarrow.lifecycle.policies import Policy

pytest.importorskip("duckdb")

Run = Callable[..., Any]


@pytest.fixture
def aged(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    """Ledgers 120 to 139 are here, those before are archived."""
    made = Aged(tmp_path, ledgers)
    made.days = 10
    assert made.run().problems == []
    return made


@pytest.fixture
def empty(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Aged:
    """All was deleted."""
    made = Aged(tmp_path, ledgers)
    made.policy, made.days = Policy(delete=DAY), 10
    assert made.run(archive=None).problems == []
    return made


def told(aged: Aged) -> str:
    return f"ledgers 100 to 119 of ledgers were archived to {aged.old}"


def many(table: Any) -> int:
    return len(pa.table(table))


@pytest.mark.parametrize("form", ["", "parquet:"])
def test_sql_warns_once_of_what_left_the_tables_it_names(stellarrow: Run, aged: Aged, form: str) -> None:
    query = "select count(*) n from ledgers a join ledgers b using (ledger_sequence)"
    done = stellarrow("sql", query, "--data", f"{form}{aged.place}", "--csv")
    assert (done.code, done.out) == (0, "n\n20\n")
    assert done.err.startswith(f"warning: {told(aged)}")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("form", ["", "parquet:"])
def test_sql_says_nothing_where_it_names_no_such_table(stellarrow: Run, aged: Aged, form: str) -> None:
    done = stellarrow("sql", "select 1 as n", "--data", f"{form}{aged.place}", "--csv")
    assert (done.code, done.out, done.err) == (0, "n\n1\n", "")


def test_a_named_query_warns_too(stellarrow: Run, aged: Aged) -> None:
    settings = aged.folder / "stellarrow.toml"
    settings.write_text(
        '[queries.by_protocol]\ntable = "ledgers"\nkind = "aggregate"\n'
        'expression = "count(*) as n by protocol_version"\n'
    )
    done = stellarrow("sql", "@by_protocol", "--data", aged.place, "--config", settings, "--csv")
    assert done.code == 0, done.err
    assert done.err.startswith(f"warning: {told(aged)}")
    assert done.err.count("\n") == 1


def test_a_scan_without_a_range_warns_and_one_of_what_is_here_does_not(aged: Aged) -> None:
    with pytest.warns(sa.LedgersDeparted, match=told(aged)):
        assert many(sa.scan(aged.place, table="ledgers")) == 20
    with pytest.warns(sa.LedgersDeparted, match=told(aged)):
        assert many(sa.scan(aged.place, table="ledgers", end=125)) == 6
    assert many(sa.scan(aged.place, table="ledgers", start=120, end=125)) == 6
    assert many(sa.scan(aged.place, table="ledgers", start=120)) == 20


@pytest.mark.parametrize(
    "asked",
    [
        {"start": 100, "end": 105},
        {"end": 105},
        {"ledgers": "100:+5"},
        {"start": 110, "end": 125},
        {"start": 110},
    ],
)
def test_a_scan_of_what_left_is_refused_with_where_it_is(aged: Aged, asked: dict[str, Any]) -> None:
    with pytest.raises(sa.LedgerMissing, match=f"were archived to {aged.old}") as refused:
        many(sa.scan(aged.place, table="ledgers", **asked))
    assert "swap" not in str(refused.value)


def test_a_scan_until_before_the_first_ledger_says_so(make_lake: Callable[..., Path]) -> None:
    with pytest.raises(sa.LedgerMissing, match="begins with ledger 100"):
        sa.scan(make_lake(), table="ledgers", end=50).to_table()


@pytest.mark.parametrize("form", ["", "parquet:"])
def test_figures_warn_of_what_they_leave_out(aged: Aged, form: str) -> None:
    with pytest.warns(sa.LedgersDeparted, match=told(aged)):
        assert sa.analytics(f"{form}{aged.place}", "network", window="total").num_rows == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sa.analytics(f"{form}{aged.place}", "network", ledgers="120:139")


def test_figures_of_what_left_are_refused_with_where_it_is(aged: Aged) -> None:
    with pytest.raises(sa.LedgerMissing, match=told(aged)):
        sa.analytics(aged.place, "network", ledgers=sa.LedgerRange(100, 119))
    with pytest.raises(sa.LedgerMissing, match=f"were archived to {aged.old}"):
        sa.analytics(aged.place, "network", window="1m", end=shown(aged.closed[105]))


def test_figures_of_times_before_any_ledger_are_empty_and_are_not_said_to_have_left(aged: Aged) -> None:
    with pytest.warns(sa.LedgersDeparted, match=told(aged)):
        assert sa.analytics(aged.place, "network", end="2001-01-01").num_rows == 0


@pytest.mark.parametrize("form", ["", "parquet:"])
def test_where_all_was_deleted_every_question_says_so(stellarrow: Run, empty: Aged, form: str) -> None:
    place, gone = f"{form}{empty.place}", "ledgers 100 to 139 of ledgers were deleted"
    done = stellarrow("sql", "select count(*) from ledgers", "--data", place)
    assert (done.code, done.out) == (1, "")
    assert gone in done.err
    with pytest.raises(sa.LedgerMissing, match=gone):
        sa.scan(place, table="ledgers")
    with pytest.raises(sa.LedgerMissing, match=gone):
        sa.analytics(place, "network")


def test_sql_on_a_table_of_which_all_left_says_so(
    stellarrow: Run, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    aged = Aged(tmp_path, ledgers)
    aged.policy, aged.days = Policy(delete=DAY), 10
    aged.run(archive=None)
    other = Aged(tmp_path / "other", ledgers, tables=("contract_data",))
    (other.place / "contract_data").rename(aged.place / "kept")
    done = stellarrow("sql", "select count(*) from ledgers", "--data", aged.place)
    assert (done.code, done.out) == (1, "")
    assert "ledgers 100 to 139 of ledgers were deleted" in done.err


def test_an_age_of_too_many_digits_is_told_the_limit(stellarrow: Run, aged: Aged) -> None:
    done = stellarrow("lifecycle", "plan", aged.place, "--parquet-policy", "archive 1599726m")
    assert done.code == 2
    assert "999999" in done.err
