"""A scan by its own methods, in data frames, in notebooks, and what goes wrong on the way."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import stellarrow as sa

Make = Callable[..., Path]


def test_every_way_to_take_a_scan_has_its_columns_and_rows(make_lake: Make) -> None:
    scan = sa.scan(make_lake(), table="contract_data")
    whole = scan.to_table()
    names = scan.schema.names
    assert whole.schema == scan.schema == sa.schema("contract_data")
    assert 50 < len(whole) == sum(batch.num_rows for batch in scan)
    assert pa.Table.from_batches(scan) == whole == pa.table(scan)
    for frame in (scan.to_pandas(), pd.DataFrame(scan)):
        assert isinstance(frame, pd.DataFrame)
        assert [*frame.columns] == names
        assert frame["ledger_sequence"].to_list() == whole["ledger_sequence"].to_pylist()
        amounts = [None if pd.isna(one) else one for one in frame["balance"]]
        assert amounts == whole["balance"].to_pylist()
    for polar in (scan.to_polars(), pl.from_arrow(scan), pl.DataFrame(scan)):
        assert isinstance(polar, pl.DataFrame)
        assert polar.columns == names
        assert polar["contract_id"].to_list() == whole["contract_id"].to_pylist()


def test_whole_numbers_beside_nulls_are_not_rounded_in_pandas() -> None:
    exact = 2**53 + 1
    rows = pa.table({"a number": pa.array([exact, None], pa.uint64()), "text": ["a", None]})
    scan = sa.Scan("t", "here", rows.schema, lambda: iter(rows.to_batches()))
    for frame in (scan.to_pandas(), pd.DataFrame(scan)):
        assert frame["a number"][0] == exact
        assert pd.isna(frame["a number"][1])
    assert str(scan.to_pandas(types_mapper=pd.ArrowDtype)["a number"].dtype) == "uint64[pyarrow]"


def test_duckdb_reads_a_relation_whenever_it_is_asked(make_lake: Make) -> None:
    scan = sa.scan(make_lake(), table="ledgers")
    with duckdb.connect() as connection:
        relation = scan.to_duckdb(connection)
        for _ in range(2):
            assert relation.aggregate("count(*)").fetchall() == [(40,)]
        assert relation.filter("ledger_sequence > 130").project("ledger_sequence").limit(1).fetchall() == [
            (131,)
        ]
    assert scan.to_duckdb().aggregate("count(*)").fetchall() == [(40,)]


def test_the_first_rows_are_read_and_no_more(make_lake: Make) -> None:
    before = set(threading.enumerate())
    passed = 0

    def batches() -> Any:
        nonlocal passed
        for batch in sa.scan(make_lake(), table="ledgers"):
            passed += batch.num_rows
            yield batch

    scan = sa.Scan("ledgers", "here", sa.schema("ledgers"), batches)
    assert scan.head(3)["ledger_sequence"].to_pylist() == [100, 101, 102]
    assert passed < 40
    assert (len(scan.head()), len(scan.head(0)), len(scan.head(99))) == (5, 0, 40)
    assert set(threading.enumerate()) <= before
    for wrong in (-1, 2.5, True, "3"):
        with pytest.raises(sa.ConfigError, match=r"rows is .*: give a whole number of at least 0"):
            scan.head(wrong)  # type: ignore[arg-type]


def test_a_notebook_is_shown_the_first_rows_or_what_is_wrong(make_lake: Make, tmp_path: Path) -> None:
    shown = sa.scan(make_lake(), table="ledgers")._repr_html_()
    assert shown.count("<tr>") == 11
    assert '<th title="uint32">ledger_sequence</th>' in shown
    assert "<td>100</td>" in shown
    assert "the first 10 rows" in shown
    hostile = pa.table({"<b>": ["<script>", "x" * 500, None]})
    shown = sa.Scan("t", "<i>", hostile.schema, lambda: iter(hostile.to_batches()))._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "x" * 59 + "…" in shown
    assert "nowhere does not exist" in sa.scan(tmp_path / "nowhere", table="ledgers")._repr_html_()


def test_what_is_wrong_arrives_as_our_own_error_wherever_the_library_lets_it(tmp_path: Path) -> None:
    scan = sa.scan(tmp_path / "nowhere", table="ledgers")
    ours: list[Callable[[], object]] = [
        *(scan.to_table, scan.to_pandas, scan.to_polars, scan.head, scan.to_reader().read_all),
        *(lambda: list(scan), lambda: pd.DataFrame(scan), lambda: pl.from_arrow(scan)),
    ]
    for ask in ours:
        with pytest.raises(sa.SourceUnavailable, match="nowhere does not exist"):
            ask()
        assert isinstance(scan.error, sa.SourceUnavailable)
    theirs: list[tuple[type[Exception], Callable[[], object]]] = [
        (duckdb.Error, scan.to_duckdb().fetchall),
        (duckdb.Error, lambda: duckdb.connect().register("rows", scan).execute("from rows").fetchall()),
        (pl.exceptions.ComputeError, lambda: pl.DataFrame(scan)),
    ]
    for kind, ask in theirs:
        with pytest.raises(kind, match="nowhere does not exist"):
            ask()
        assert isinstance(scan.error, sa.SourceUnavailable)


def test_the_error_of_a_pass_is_forgotten_by_the_next(make_lake: Make, tmp_path: Path) -> None:
    place = tmp_path / "later"
    scan = sa.scan(place, table="ledgers", network="synthetic")
    with pytest.raises(sa.SourceUnavailable):
        scan.to_table()
    make_lake().rename(place)
    assert len(scan.to_table()) == 40
    assert scan.error is None


def test_a_missing_library_is_named_with_its_extra(make_lake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = sa.scan(make_lake(), table="ledgers")
    for module, ask, extra in [
        ("pandas", scan.to_pandas, "dataframes"),
        ("polars", scan.to_polars, "dataframes"),
        ("duckdb", scan.to_duckdb, "sql"),
    ]:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(sa.ConfigError, match=rf"to_{module} needs .*{module}, .*'stellarrow\[{extra}\]'"):
            ask()  # type: ignore[operator]


SHARED = ("network", "ledgers", "where", "columns", "decoded", "transfers", "verify_chain", "verify_hashes")


@pytest.mark.parametrize("name", SHARED)
def test_decode_scan_and_run_name_and_default_their_choices_alike(name: str) -> None:
    found = {str(inspect.signature(call).parameters[name]) for call in (sa.decode, sa.scan, sa.run)}
    assert len(found) == 1, found


@pytest.mark.parametrize("call", [sa.decode, sa.scan, sa.run])
def test_every_parameter_is_explained(call: Callable[..., object]) -> None:
    explained = inspect.getdoc(call) or ""
    for name in inspect.signature(call).parameters:
        assert f"    {name}: " in explained, name


def test_columns_mean_the_same_in_decode_scan_and_run(make_lake: Make, tmp_path: Path) -> None:
    lake = make_lake()
    data = sa.synth(20, seed=3, first=2)
    for columns, names in [
        (["closed_at", "ledger_sequence"], ["closed_at", "ledger_sequence"]),
        (["ledger_sequence * 2 as twice"], ["twice"]),
    ]:
        made = sa.decode(data, ["ledgers"], columns=columns)["ledgers"]
        assert (made.schema.names, made.num_rows) == (names, 20)
        scan = sa.scan(lake, table="ledgers", columns=columns)
        out = tmp_path / names[0]
        sa.run(lake, tables=["ledgers"], sinks=f"parquet:{out}", columns=columns)
        kept = sa.scan(out, table="ledgers").to_table()
        assert kept.select(names).to_pylist() == scan.to_table().to_pylist()
    both = sa.decode(data, ["ledgers", "transactions"], columns=["ledger_sequence"])
    assert {batch.schema.names == ["ledger_sequence"] for batch in both.values()} == {True}
    with pytest.raises(sa.ConfigError, match="has no column 'closed': did you mean 'closed_at'"):
        sa.decode(data, ["ledgers"], columns=["closed"])


def test_decode_proves_the_network_that_is_not_named() -> None:
    whole = sa.decode(sa.synth(20), ["contract_data"], network="synthetic")["contract_data"]
    assert sa.decode(sa.synth(20), ["contract_data"])["contract_data"] == whole
    other = sa.synth(20, network="A network of our own ; 2026")
    with pytest.raises(sa.NetworkMismatch, match="of no network known by name: give network"):
        sa.decode(other, ["contract_data"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ledgers": "5:1"}, "ends before it starts"),
        ({"ledgers": "five"}, "is no ledger range"),
        ({"ledgers": 5}, "ledgers is 5: give a LedgerRange, a LedgerSet, or text"),
        ({"network": 7}, "network is 7: give a name such as pubnet, or a passphrase"),
        ({"where": 5}, "where is 5: give a Filter, or a condition in SQL as text"),
        ({"columns": [5]}, "columns is [5]: give a list of names"),
        ({"columns": "closed_at"}, "columns is 'closed_at': give a list of names, such as ['closed_at']"),
        ({"decoded": "yes"}, "decoded is 'yes': give True or False"),
        ({"verify_chain": None}, "verify_chain is None: give True or False"),
        ({"verify_hashes": 1}, "verify_hashes is 1: give True or False"),
        ({"transfers": 3}, "transfers is 3: give a text"),
    ],
)
def test_wrong_types_and_ranges_are_refused_at_the_call(
    wrong: dict[str, object], told: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    calls: list[Callable[[], object]] = [
        lambda: sa.decode(b"", ["ledgers"], **wrong),  # type: ignore[arg-type]
        lambda: sa.scan("nowhere", table="ledgers", **wrong),  # type: ignore[arg-type]
        lambda: sa.run("nowhere", tables=["ledgers"], sinks=[f"parquet:{out}"], **wrong),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(sa.ConfigError) as error:
            call()
        assert told in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (sa.scan, {"table": 5}),
        (sa.scan, {"start": "5"}),
        (sa.scan, {"end": 1.5}),
        (sa.scan, {"start": True}),
        (sa.scan, {"start": 9, "end": 5}),
        (sa.scan, {"workers": 0}),
        (sa.run, {"workers": "2"}),
        (sa.run, {"budget_mb": 0}),
        (sa.run, {"commit_every": "often"}),
        (sa.run, {"sinks": [5]}),
        (sa.run, {"tables": "ledgers"}),
        (sa.run, {"tables": []}),
        (sa.run, {"columns": ["closed_at"], "select": "closed_at"}),
    ],
)
def test_what_one_call_alone_takes_is_refused_too(
    call: Callable[..., object], wrong: dict[str, object]
) -> None:
    sound = {"table": "ledgers"} if call is sa.scan else {"tables": ["ledgers"], "sinks": []}
    with pytest.raises(sa.ConfigError):
        call("nowhere", **{**sound, **wrong})


@pytest.mark.parametrize(
    "wrong", [{"contract_ids": 5}, {"event_names": [None]}, {"where": 5}, {"include_deleted": "no"}]
)
def test_a_filter_refuses_wrong_types(wrong: dict[str, object]) -> None:
    with pytest.raises(sa.ConfigError, match=rf"the filter's {next(iter(wrong))} is "):
        sa.Filter(**wrong)  # type: ignore[arg-type]


def test_one_sink_may_be_given_alone(make_lake: Make, tmp_path: Path) -> None:
    report = sa.run(make_lake(), tables=["ledgers"], sinks=f"parquet:{tmp_path}/out", ledgers="100:104")
    assert report.ledgers == 5
    assert len(sa.scan(tmp_path / "out", table="ledgers").to_table()) == 5


@pytest.mark.parametrize("wrong", [{"ledgers": "5"}, {"ledgers": -1}, {"first": 1}, {"ledger_bytes": 1.5}])
def test_synth_refuses_what_no_ledgers_can_be_made_of(wrong: dict[str, object]) -> None:
    with pytest.raises(sa.ConfigError, match=rf"{next(iter(wrong))} is .*: give a whole number"):
        sa.synth(**wrong)  # type: ignore[arg-type]
