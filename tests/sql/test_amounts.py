"""Amounts of every size in `sql`: an i128 has up to 39 digits, a sum of them more."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from sinks.postgres.made import balance, batch
from stellarrow.cli import invoke
from stellarrow.cli.query.database import Database
from stellarrow.sinks.files.formats import Format
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink

duckdb = pytest.importorskip("duckdb")

TOP, BOTTOM = 2**127 - 1, -(2**127)  # the ends of i128, of 39 digits
AMOUNTS = {"a": TOP, "b": TOP, "c": BOTTOM, "d": 10**38, "e": 10**38 - 1, "f": 7, "g": 0}
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: object) -> tuple[int, str, str]:
        code = invoke(["sql", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(params=["parquet", "jsonl", "csv"])
def format_(request: pytest.FixtureRequest) -> Format:
    return format_of(request.param)


@pytest.fixture
def data(tmp_path: Path, format_: Format) -> Path:
    """Balances of every size, two contracts' worth, in files of each format."""
    folder = tmp_path / "data"
    rows = [balance(at, key, amount) for at, (key, amount) in enumerate(AMOUNTS.items(), 1)]
    rows.append(balance(8, "h", 5, contract_id="C" + "B" * 55))
    sink = FileSink(folder, ["contract_data"], format=format_, network="pubnet")
    sink.write(batch(1, 9, rows))
    sink.commit()
    sink.close()
    return folder


HELD = "select ledger_key_hash as key, balance from contract_data where ledger_sequence < 8 order by key"


def test_an_amount_of_39_digits_is_shown_whole_in_every_form(say: Say, data: Path) -> None:
    answer = say(HELD, "--data", data, "--json")[1].splitlines()
    assert {one["key"]: int(one["balance"]) for one in map(json.loads, answer)} == AMOUNTS
    code, out, _ = say(HELD, "--data", data, "--csv")
    assert (code, {one["key"]: int(one["balance"]) for one in csv.DictReader(io.StringIO(out))}) == (
        0, AMOUNTS,
    )  # fmt: skip
    code, out, _ = say(HELD, "--data", data)
    assert (code, [str(amount) in out for amount in AMOUNTS.values()]) == (0, [True] * len(AMOUNTS))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_texts_of_an_answer_have_every_digit(say: Say, data: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    assert say(HELD, "--data", data, "--out", out)[0] == 0
    assert [str(amount) in out.read_text() for amount in AMOUNTS.values()] == [True] * len(AMOUNTS)


def test_parquet_of_an_answer_has_amounts_as_extract_writes_them(
    say: Say, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    query = "select balance, balance_text from contract_data where ledger_sequence < 8 order by 2"
    assert say(query, "--data", data, "--out", out)[0] == 0
    held = pq.read_table(out)
    held.validate(full=True)
    assert held.schema.field("balance").type == pa.decimal128(38, 0)
    amounts = {text: number for number, text in zip(*held.to_pydict().values(), strict=True)}
    assert amounts == {str(one): Decimal(one) if abs(one) < 10**38 else None for one in AMOUNTS.values()}
    assert len(duckdb.sql(f"from '{out}'").fetchall()) == len(AMOUNTS)


@pytest.mark.parametrize(
    "query",
    [
        "select balance from contract_data",
        "select balance as balance_text, ledger_sequence as balance from contract_data",
        "select sum(balance) as total from contract_data where balance_text in ('7', repeat('9', 38))",
        "select list(balance) as all_of_them from contract_data",
        "select {'in': max(balance)} as nested from contract_data",
    ],
)
def test_parquet_refuses_39_digits_that_no_text_beside_has(
    say: Say, data: Path, tmp_path: Path, query: str
) -> None:
    code, out, err = say(query, "--data", data, "--out", tmp_path / "out.parquet")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "39 digits, and Parquet's decimals have 38: write .csv or .jsonl" in err
    assert list(tmp_path.glob("*out*")) == []
    assert say(query, "--data", data, "--out", tmp_path / "out.csv")[0] == 0


def test_a_sum_beyond_a_hugeint_names_what_is_exact(say: Say, data: Path) -> None:
    positive = "from contract_data where not starts_with(balance_text, '-')"
    code, out, err = say(f"select sum(balance) {positive}", "--data", data)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "exact_sum(balance_text)" in err
    expected = sum(amount for amount in AMOUNTS.values() if amount > 0) + 5
    assert len(str(expected)) > 38
    answer = say(f"select exact_sum(balance_text) as s {positive}", "--data", data, "--csv")[1]
    assert answer == f"s\n{expected}\n"


def test_exact_sums_are_by_group_of_nothing_null_and_of_any_sign(say: Say, data: Path) -> None:
    query = (
        "select contract_id[2] as c, exact_sum(balance_text) as s from contract_data group by all order by c"
    )
    assert say(query, "--data", data, "--csv")[1] == f"c,s\nA,{sum(AMOUNTS.values())}\nB,5\n"
    none = "select exact_sum(balance_text) is null as n from contract_data where false"
    assert say(none, "--data", data, "--json")[1] == '{"n": true}\n'


def test_the_richest_are_listed_whatever_they_hold(say: Say, data: Path, tmp_path: Path) -> None:
    code, out, _ = say("@top-holders", "--data", data, "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(one["place"], one["balance"]) for one in found] == [
        *((at, str(amount)) for at, amount in enumerate((TOP, TOP, 10**38, 10**38 - 1, 7), 1)),
        (1, "5"),
    ]
    assert say("@top-holders", "--data", data, "--out", tmp_path / "top.parquet")[0] == 0
    assert pq.read_table(tmp_path / "top.parquet")["balance_text"].to_pylist()[0] == str(TOP)


@pytest.mark.parametrize(
    ("number", "told"),
    [("2::uhugeint", "2"), (f"{2**128 - 1}::uhugeint", str(2**128 - 1)), ("(10::bignum)", "10")],
)
def test_numbers_that_arrow_does_not_know_are_texts(say: Say, tmp_path: Path, number: str, told: str) -> None:
    (tmp_path / "others").mkdir()
    pq.write_table(pa.table({"one": [1]}), tmp_path / "others" / "table.parquet")
    query: list[Any] = [f"select {number} as n, 'x' as n from (values (3), (2)) t(a) order by a", "--data"]
    assert say(*query, tmp_path, "--csv")[1] == f"n,n\n{told},x\n{told},x\n"


def test_differences_of_unsigned_numbers_go_below_zero(say: Say, data: Path) -> None:
    query = "select min(ledger_sequence - 100) as d, min(-change_index) as m, max(-ledger_sequence) as n"
    assert say(f"{query} from contract_data", "--data", data, "--csv")[1] == "d,m,n\n-99,0,-1\n"


def test_the_schema_of_the_tables_is_what_it_was() -> None:
    assert sa.schema("contract_data").field("balance").type == pa.decimal128(38, 0)


def test_sums_over_ledgers_as_they_are_read_leave_nothing_out(data: Path) -> None:
    rows = pa.table(sa.scan(data, table="contract_data"))
    assert rows["balance"].null_count == 4  # as every other reader sees them
    database = Database({"contract_data": rows})
    query = "select sum(balance) as s from contract_data where ledger_key_hash in ('c', 'f')"
    (answer,) = database.rows(query).read_all().to_pylist()
    assert answer["s"] == AMOUNTS["c"] + AMOUNTS["f"]
    with pytest.raises(sa.ConfigError, match=r"exact_sum\(balance_text\)"):
        list(database.rows("select sum(balance) from contract_data where ledger_sequence < 3"))
