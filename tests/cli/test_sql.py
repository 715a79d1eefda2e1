from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("duckdb")

Run = Callable[..., Any]
BIG = 10**37 + 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder, first in (("pubnet/ledgers", 1), ("synthetic/ledgers", 5), ("synthetic/balances", 9)):
        (tmp_path / folder).mkdir(parents=True)
        rows = {
            "ledger_sequence": pa.array([first, first + 1], pa.uint32()),
            "balance": pa.array([Decimal(BIG), None], pa.decimal128(38, 0)),
            "closed_at": pa.array([0, 1_700_000_000_000_000], pa.timestamp("us", "UTC")),
            "topics": [["a", "b"], []],
        }
        pq.write_table(pa.table(rows), tmp_path / folder / "0000000001-0000000002.parquet")
    return tmp_path


def test_a_table_is_called_by_its_name(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select max(ledger_sequence) as top from balances", "--data", data, "--csv")
    assert (done.code, done.out, done.err) == (0, "top\n10\n", "")


def test_a_name_in_two_folders_is_qualified(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select count(*) from ledgers", "--data", data)
    assert done.code == 2
    assert "pubnet.ledgers, synthetic.balances, synthetic.ledgers" in done.err
    done = stellarrow("sql", "select min(ledger_sequence) m from synthetic.ledgers", "--data", data, "--csv")
    assert done.out == "m\n5\n"


def test_a_folder_right_below_the_data_keeps_its_name(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select min(ledger_sequence) m from ledgers", "--data", data / "pubnet", "--csv")
    assert done.out == "m\n1\n"


def test_json_keeps_every_digit(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select * from balances order by 1", "--data", data, "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {
            "ledger_sequence": 9,
            "balance": str(BIG),
            "closed_at": "1970-01-01 00:00:00Z",
            "topics": ["a", "b"],
        },
        {"ledger_sequence": 10, "balance": None, "closed_at": "2023-11-14 22:13:20Z", "topics": []},
    ]


def test_sums_are_exact(stellarrow: Run, data: Path) -> None:
    query = "select sum(balance) s, sum(ledger_sequence) n from balances"
    assert stellarrow("sql", query, "--data", data, "--csv").out == f"s,n\n{BIG},19\n"


def test_a_table_is_drawn(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select ledger_sequence, balance from balances", "--data", data)
    assert "ledger_sequence" in done.out
    assert str(BIG) in done.out


def test_many_rows_are_cut_with_a_word_about_it(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select * from range(1000)", "--data", data)
    assert "100 of 1,000 rows; --csv or --json prints all" in done.out


@pytest.mark.parametrize("query", ["selec 1", "select nope from balances", "select * from nope"])
def test_a_wrong_query_is_one_line(stellarrow: Run, data: Path, query: str) -> None:
    done = stellarrow("sql", query, "--data", data)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_no_data_is_a_failure_with_a_remedy(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("sql", "select 1", "--data", tmp_path)
    assert (done.code, "extract something into it first" in done.err) == (1, True)


def test_a_folder_with_a_quote_is_read(stellarrow: Run, data: Path) -> None:
    odd = data / 'it\'s "odd"'
    (data / "pubnet").rename(odd)
    assert stellarrow("sql", "select count(*) n from ledgers", "--data", odd, "--csv").out == "n\n2\n"
