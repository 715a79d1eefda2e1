"""Filters, aggregates and projections by name: ready-made and saved, wherever rows are asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.cli import invoke
from stellarrow.config.saved_queries import catalogue
from stellarrow.core.decode import Decoder
from stellarrow.core.named_queries import Catalogue
from stellarrow.sql.aliases import OPERATIONS, in_columns
from stellarrow.sql.parsing import parse_condition, written

LEDGERS = Path(sa.__file__).parent / "data" / "ledgers"
TRANSFERS = sa.schema("token_transfers")
TOML = """
network = "pubnet"

[queries.native_whales]
table = "token_transfers"
kind = "filter"
expression = "asset = 'native' and amount_raw > 1000000000"

[queries.by_operation]
table = "token_transfers"
kind = "aggregate"
expression = "sum(amount_raw), count(*) by operation_type"
description = "What each operation moved."

[queries.brief]
table = "token_transfers@1.0"
kind = "projection"
expression = 'closed_at, asset, successful, "from", amount_text'
"""
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Run a command line in a folder with saved queries."""
    monkeypatch.chdir(tmp_path)
    Path("stellarrow.toml").write_text(TOML)

    def run(*words: object) -> tuple[int, str, str]:
        code = invoke([*map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def transfers() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        sa.scan(LEDGERS, table="token_transfers", network="pubnet").to_table().to_pylist()
    )
    return rows


def scanned(**asked: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        sa.scan(LEDGERS, table="token_transfers", network="pubnet", **asked).to_table().to_pylist()
    )
    return rows


def name(row: dict[str, Any]) -> str:
    if row["asset_type"] == "native":
        return "native"
    return f"{row['asset_code']}:{row['asset_issuer']}" if row["asset_code"] else row["contract_id"]


def test_successful_payments_are_what_payments_moved_that_took_effect(
    transfers: list[dict[str, Any]],
) -> None:
    expected = [
        row for row in transfers if row["transaction_successful"] and row["operation_type"] == "payment"
    ]
    assert scanned(filter="successful_payments") == expected
    assert expected


def test_large_amounts_are_above_ten_million(transfers: list[dict[str, Any]]) -> None:
    expected = [row for row in transfers if int(row["amount_text"]) > 10_000_000]
    assert scanned(filter="large_amounts") == expected
    decoded = sa.decode(
        (LEDGERS / "pubnet-58752000.xdr.zst").read_bytes(), ["token_transfers"], filter="large_amounts"
    )
    assert decoded["token_transfers"].to_pylist() == [
        row for row in expected if row["ledger_sequence"] == 58_752_000
    ]


def test_a_named_filter_and_a_condition_must_both_hold() -> None:
    both = scanned(filter="large_amounts", where="event_type = 'fee' or operation_type = 'payment'")
    assert both == [
        row
        for row in scanned(filter="large_amounts")
        if row["event_type"] == "fee" or row["operation_type"] == "payment"
    ]


def test_volume_by_asset_is_the_sum_of_every_movement(transfers: list[dict[str, Any]]) -> None:
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for row in transfers:
        expected[name(row)] += row["amount_raw"]
    found = sa.aggregate(LEDGERS, "volume_by_asset", network="pubnet").to_pylist()
    assert {row["asset"]: row["volume"] for row in found} == expected


def test_transactions_by_hour_count_those_of_the_table_that_is_named() -> None:
    whole = sa.aggregate(LEDGERS, "transactions_by_hour", network="pubnet").to_pylist()
    moving = sa.aggregate(
        LEDGERS, "transactions_by_hour", table="token_transfers", network="pubnet"
    ).to_pylist()
    assert [row["transactions"] for row in whole] == [163, 249]
    assert [row["hour"] for row in whole] == [row["hour"] for row in moving]
    assert all(few["transactions"] <= many["transactions"] for few, many in zip(moving, whole, strict=True))


def test_aggregates_of_a_folder_equal_those_in_flight(tmp_path: Path) -> None:
    sa.run(LEDGERS, tables=["token_transfers"], sinks=f"parquet:{tmp_path}", network="pubnet")
    for window in (None, "1m", "24h"):
        kept = sa.aggregate(tmp_path, "volume_by_asset", window=window, filter="large_amounts")
        flown = sa.aggregate(
            LEDGERS, "volume_by_asset", window=window, filter="large_amounts", network="pubnet"
        )
        assert kept.equals(flown)
        assert len(kept)


def test_a_filter_that_is_extracted_keeps_its_rows_and_no_others(tmp_path: Path) -> None:
    sa.run(
        LEDGERS,
        tables=["token_transfers"],
        sinks=f"parquet:{tmp_path}",
        network="pubnet",
        filter="successful_payments",
    )
    kept = sa.scan(tmp_path, table="token_transfers").to_table().to_pylist()
    assert sorted(kept, key=lambda row: (row["ledger_sequence"], row["event_index"])) == scanned(
        filter="successful_payments"
    )


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        ("successful", "transaction_successful"),
        ("event_type = 'payment'", "operation_type IS NOT DISTINCT FROM 'payment'"),
        ("'payment' = event_type", "operation_type IS NOT DISTINCT FROM 'payment'"),
        ("event_type <> 'payment'", "operation_type IS DISTINCT FROM 'payment'"),
        ("event_type = 'transfer'", "event_type = 'transfer'"),
        ("event_type = 'clawback'", "event_type = 'clawback'"),
        ("event_type in ('payment')", "COALESCE(operation_type IN ('payment'), FALSE)"),
        ("event_type in ('mint', 'burn')", "event_type IN ('mint', 'burn')"),
        (
            "event_type in ('payment', 'mint')",
            "(event_type IN ('mint') OR COALESCE(operation_type IN ('payment'), FALSE))",
        ),
        ("amount_raw > 5", "COALESCE(amount_raw, CAST(amount_text AS INT128)) > 5"),
    ],
)
def test_words_of_the_older_family_become_columns(words: str, columns: str) -> None:
    assert written(in_columns(parse_condition(words), TRANSFERS).unalias()) == columns


@pytest.mark.parametrize("words", ["asset = 'x'", "successful", "event_type = 'payment'"])
def test_a_table_without_what_a_word_needs_keeps_it(words: str) -> None:
    assert written(in_columns(parse_condition(words), sa.schema("ledgers"))) == written(
        parse_condition(words)
    )


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("words", ["event_type = 'payment'", "event_type in ('payment', 'fee')"])
def test_a_word_that_is_negated_keeps_all_other_rows(
    transfers: list[dict[str, Any]], words: str, *, negated: bool
) -> None:
    asked = sa.NamedQuery(
        name="q", table="token_transfers", kind="filter", expression=f"not ({words})" if negated else words
    )
    wanted = ("payment",) if "=" in words else ("payment", "fee")
    expected = [
        row
        for row in transfers
        if (row["operation_type"] in wanted or row["event_type"] in wanted) is not negated
    ]
    assert scanned(filter=asked) == expected


def test_every_operation_is_a_word_that_the_core_knows() -> None:
    for one in OPERATIONS:
        Decoder(["token_transfers"], network="pubnet", where=sa.Filter(event_types=[one]))
    with pytest.raises(sa.ConfigError) as told:
        Decoder(["token_transfers"], network="pubnet", where=sa.Filter(event_types=["nothing"]))
    assert all(one in str(told.value) for one in OPERATIONS)
    assert len(OPERATIONS) == 27


def test_an_amount_of_39_digits_is_large() -> None:
    top = 2**127 - 1
    rows: list[dict[str, Any]] = [
        {"amount_raw": None, "amount_text": str(top)},
        {"amount_raw": None, "amount_text": str(-top)},
        {"amount_raw": Decimal(10_000_001), "amount_text": "10000001"},
        {"amount_raw": Decimal(10_000_000), "amount_text": "10000000"},
    ]
    columns = pa.schema([TRANSFERS.field("amount_raw"), TRANSFERS.field("amount_text")])
    large = next(one for one in Catalogue() if one.name == "large_amounts")
    from stellarrow.sql import compile_sql  # noqa: PLC0415

    compute = compile_sql(
        "token_transfers", columns, sa.Filter(where=large.condition(columns)), whole=columns
    )
    assert compute
    for part in (rows, rows[2:]):
        kept = compute._condition.evaluate(pa.RecordBatch.from_pylist(part, columns))  # type: ignore[union-attr]
        assert kept.to_pylist() == [int(row["amount_text"]) > 10_000_000 for row in part]


def test_saved_queries_are_asked_by_name_on_the_command_line(
    say: Say, transfers: list[dict[str, Any]]
) -> None:
    whales = [row for row in transfers if name(row) == "native" and row["amount_raw"] > 10**9]
    code, said, _ = say(
        "extract", LEDGERS, "--tables", "token_transfers", "--filter", "native_whales", "--to", "parquet:w"
    )
    assert (code, f"token_transfers {len(whales)}" in said) == (0, True)
    assert say("extract", LEDGERS, "--tables", "token_transfers")[0] == 0
    code, said, _ = say("sql", "@by_operation", "--filter", "native_whales", "--json")
    sums: dict[str | None, int] = defaultdict(int)
    for row in whales:
        sums[row["operation_type"]] += int(row["amount_raw"])
    found = [json.loads(line) for line in said.splitlines()]
    assert {row["operation_type"]: int(row["sum_amount_raw_text"]) for row in found} == sums
    code, said, _ = say("sql", "@native_whales", "--json")
    assert len(said.splitlines()) == len(whales)
    code, said, _ = say("sql", "@brief", "--source", LEDGERS, "--network", "pubnet", "--json")
    first = json.loads(said.splitlines()[0])
    assert [*first] == ["closed_at", "asset", "successful", "from", "amount_text"]
    assert len(said.splitlines()) == len(transfers)


def test_a_projection_by_name_makes_its_columns(say: Say) -> None:
    code, _, _ = say(
        "extract", LEDGERS, "--tables", "token_transfers", "--projection", "brief", "--to", "parquet:b"
    )
    assert code == 0
    brief = sa.queries("stellarrow.toml")["brief"]
    scan = sa.scan(LEDGERS, table="token_transfers", network="pubnet", projection=brief)
    kept = sa.scan("b", table="token_transfers").to_table()
    assert kept.select(scan.schema.names).equals(scan.to_table())
    assert {*scan.schema.names} >= {"closed_at", "asset", "successful", "from", "amount_text"}


def test_all_of_them_are_listed(say: Say) -> None:
    code, said, _ = say("queries", "--json")
    listed = {one["name"]: one for one in json.loads(said)}
    assert code == 0
    assert listed.keys() == {
        *("successful_payments", "large_amounts", "volume_by_asset", "transactions_by_hour"),
        *("native_whales", "by_operation", "brief"),
    }
    assert listed["by_operation"]["description"] == "What each operation moved."
    code, said, _ = say("queries")
    assert all(one in said for one in listed)
    assert {*sa.queries("stellarrow.toml")} == listed.keys()
    code, said, _ = say("sql", "@", "--json")
    names = {json.loads(line)["name"] for line in said.splitlines()}
    assert names > listed.keys()
    assert "large-amounts" in names


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sql", "@volum_by_asset"], "did you mean volume_by_asset?"),
        (["sql", "@large-amount"], "did you mean large-amounts?"),
        (["sql", "select 1", "--window", "1h"], "--window and --filter are for @NAME"),
        (["sql", "@native_whales", "--window", "1h"], "native_whales is no aggregate: leave --window out"),
        (["sql", "@volume_by_asset", "--window", "2h"], "the window is '2h': it must be 1m, 5m, 1h, 24h, 7d"),
        (["sql", "@volume_by_asset", "--filter", "brief"], "brief is a projection, not a filter"),
        (["extract", LEDGERS, "--tables", "ledgers", "--filter", "brief"], "brief is a projection"),
        (
            ["extract", LEDGERS, "--tables", "ledgers", "--filter", "large_amount"],
            "did you mean large_amounts?",
        ),
        (
            ["extract", LEDGERS, "--tables", "ledgers,token_transfers", "--filter", "large_amounts"],
            "is of token_transfers, not of ledgers",
        ),
        (
            ["extract", LEDGERS, "--tables", "token_transfers", "--projection", "brief", "--select", "from"],
            "leave columns and select out",
        ),
    ],
)
def test_a_name_that_cannot_be_meant_is_a_sentence(say: Say, words: list[Any], told: str) -> None:
    if words[0] == "sql":
        assert say("extract", LEDGERS, "--tables", "token_transfers")[0] == 0
    code, _, error = say(*words)
    assert (code, told in error) == (2, True), error


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("queries = 3", "'queries'"),
        ("[queries]\nx = 'sum'", r"[queries.x] is no section"),
        ("[queries.x]\nkind = 'filter'\nexpression = 'true'", "has no table"),
        ("[queries.x]\ntable = 'ledgers'\nkind = 'filter'", "has no expression"),
        ("[queries.x]\ntabel = 'ledgers'", "has 'tabel', which a query has not: did you mean table?"),
        ("[queries.x]\ntable = 3", "table is 3: write text"),
        ("[queries.X]\ntable = 'ledgers'\nkind = 'filter'\nexpression = 'true'", "lower-case letters"),
        ("[queries.x]\ntable = 'ledgers'\nkind = 'filtre'\nexpression = 'true'", "did you mean filter?"),
        ("[queries.x]\ntable = 'ledger'\nkind = 'filter'\nexpression = 'true'", "did you mean 'ledgers'?"),
        (
            "[queries.x]\ntable = 'ledgers'\nkind = 'filter'\nexpression = 'protocl = 1'",
            "no column 'protocl'",
        ),
        ("[queries.x]\ntable = 'ledgers'\nkind = 'filter'\nexpression = 'true; drop'", "more than one"),
        (
            "[queries.x]\ntable = 'ledgers'\nkind = 'aggregate'\nexpression = 'protocol_version'",
            "no aggregate",
        ),
        ("[queries.x]\ntable = 'ledgers'\nkind = 'projection'\nexpression = '1'", "has no name"),
        (
            "[queries.large_amounts]\ntable = 'token_transfers'\nkind = 'filter'\nexpression = 'true'",
            "there is a query large_amounts already (ready-made)",
        ),
    ],
)
def test_what_is_saved_wrongly_is_told_with_its_section(tmp_path: Path, section: str, told: str) -> None:
    file = tmp_path / "stellarrow.toml"
    file.write_text(section)
    with pytest.raises(sa.ConfigError) as error:
        catalogue(file)
    assert told in str(error.value)
    assert "stellarrow.toml" in str(error.value)


def test_a_service_does_not_start_with_a_query_that_is_saved_wrongly(say: Say, tmp_path: Path) -> None:
    Path("bad.toml").write_text("[queries.x]\ntable = 'ledgers'\nkind = 'filter'\nexpression = 'protocl = 1'")
    for words in (
        ["processor", "serve", "--source", LEDGERS, "--state-dir", tmp_path / "state"],
        ["extract", LEDGERS, "--tables", "ledgers", "--filter", "x"],
        ["sql", "@x"],
        ["queries"],
        ["config", "show", "extract"],
    ):
        code, _, error = say(*words, "--config", "bad.toml")
        assert (code, "bad.toml [queries.x]: ledgers has no column 'protocl'" in error) == (2, True), words
    assert not (tmp_path / "state").exists()


def test_a_file_of_the_older_components_saves_no_queries(tmp_path: Path) -> None:
    file = tmp_path / "older.yaml"
    file.write_text("flight_port: 8816\n")
    assert [*catalogue(file)] == [*Catalogue()]


def test_what_python_asks_wrongly_is_told() -> None:
    for asked, table, told in (
        ("sum(amount_raw)", None, "is an expression: name the table, too"),
        ("volume_by_asset", "ledgers", "is of token_transfers, not of ledgers"),
        ("large_amounts", None, "large_amounts is a filter, not an aggregate"),
        (7, None, "give a name such as 'volume_by_asset'"),
    ):
        with pytest.raises(sa.ConfigError, match=told):
            sa.aggregate(LEDGERS, asked, table=table)  # type: ignore[arg-type]
    with pytest.raises(sa.ConfigError, match="columns say what the projection says"):
        sa.scan(LEDGERS, table="ledgers", columns=["closed_at"], projection="brief")
