"""What is wrong with an expression is one sentence, told before the first ledger."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import stellarrow as sa

LEDGER = Path(sa.__file__).parent / "data" / "ledgers" / "pubnet-58752000.xdr.zst"


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("amount_rw > 5", "token_transfers has no column 'amount_rw': did you mean 'amount_raw'?"),
        ('asset_code = "USDC"', "token_transfers has no column \"USDC\": text stands in 'single quotes'"),
        ("event_type > 5", "event_type > 5 cannot be computed of text and a number"),
        ("amount_raw and true", "amount_raw AND TRUE cannot be computed of a number and true or false"),
        (
            "amount_raw",
            "where: amount_raw is decimal256(39, 0), not true or false: compare it with something",
        ),
        ("amount_raw +", "where: 'amount_raw +' is no SQL expression, near 'amount_raw +'"),
        ("event_type = 'fee", "is a quote open? text stands in 'single quotes'"),
        ("from = 'G'", 'the column "from" stands in double quotes, as FROM is a word of SQL'),
        (
            "sum(amount_raw) > 5",
            "SUM(amount_raw) needs more than one row: ask stellarrow sql, or DuckDB over scan",
        ),
        ("event_type in (select 1)", "IN takes a list of values in parentheses"),
        ("asset_code = null", "nothing equals NULL: write IS NULL or IS NOT NULL"),
        ("starts_wit(asset_code, 'a')", "is not understood: did you mean starts_with()?"),
        ("frobnicate(asset_code)", "is not understood: the functions are abs, "),
        ("1 = 1 group by asset_code", "holds more than a condition: write what follows WHERE alone"),
        ("1 = 1; drop table x", "holds more than one statement: write one expression"),
        ("closed_at > 'yesterday'", "'yesterday' is no time such as 2024-02-29"),
        ("asset_code = '\udcff'", "the SQL has '\\udcff' at character 15, which is no text"),
        ("amount_raw::money = 1", "a value is cast to one of bigint, "),
        ("case when true then true end", "says nothing of other rows: add ELSE"),
        ("substr(asset_code, 0) = 'a'", "start, from 1, and length must be numbers"),
        ("asset_code like asset_type", "what to look for must be a 'text'"),
        ("regexp_matches(asset_code, 'usdc', 'i')", "regexp_matches() takes fewer arguments here"),
        ("amount_raw between symmetric 5 and 1", "is not understood"),
        ("try_cast(asset_code as bigint) is null", "is not understood"),
        ("amount_raw * amount_raw > 1", "cannot be computed: Decimal precision out of range"),
        ("ledgers.ledger_sequence = 1", "is of another table than token_transfers: name the column alone"),
    ],
)
def test_a_condition_that_cannot_be_is_told(where: str, told: str) -> None:
    with pytest.raises(sa.ConfigError) as error:
        sa.Decoder(["token_transfers"], network="pubnet", where=where)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("select", "told"),
    [
        ("amount_raw / 10", "has no name: write amount_raw / 10 AS name"),
        ("*, asset_code", "two columns are called 'asset_code': name one otherwise, with AS"),
        ("* exclude (asset_cod)", "has no column 'asset_cod': did you mean 'asset_code'?"),
        ("* replace (1 as asset_code)", "is not understood: write the columns out"),
        ("asset_code from token_transfers", "holds more than columns: write what follows SELECT alone"),
        ("asset_code asset_type amount_raw", "is no SQL expression"),
        ("count(*) as n", "needs more than one row"),
    ],
)
def test_columns_that_cannot_be_are_told(select: str, told: str) -> None:
    with pytest.raises(sa.ConfigError) as error:
        sa.schema("token_transfers", where=sa.Filter(select=select))
    assert told in str(error.value)


def test_a_column_on_request_is_told_to_be_one() -> None:
    with pytest.raises(sa.ConfigError, match="only where decoded columns are asked for"):
        sa.schema("contract_events", where="data_json is not null")


NESTED = {
    "parentheses": ("(", "true", ")"),
    "NOT": ("not ", "true", ""),
    "minus": ("- ", "1", " = 1"),
    "CASE": ("case when true then ", "true", " else false end"),
    "CASE of a value": ("case ", "true", " when true then true else false end"),
    "CASE beside a column called end": ("case when end then ", "true", " else end end"),
    "BETWEEN": ("(", "true", " between true and true)"),
    "IN": ("(", "true", " in (true))"),
    "IN of columns": ("(", "is_sac", " in (is_sac, true))"),
    "coalesce": ("coalesce(", "true", ", false)"),
    "cast": ("cast(", "true", " as boolean)"),
    "lists": ("[", "true", "]"),
}


@pytest.mark.parametrize("levels", [20, 2_000, 9_000])
@pytest.mark.parametrize("kind", NESTED)
def test_what_nests_is_compiled_once_or_refused_in_a_moment(kind: str, levels: int) -> None:
    before, inner, behind = NESTED[kind]
    where = before * levels + inner + behind * (1 if kind == "minus" else levels)
    began = time.process_time()
    try:
        sa.decode(LEDGER.read_bytes(), ["token_transfers"], where=where)
    except sa.ConfigError as error:
        assert len(str(error)) < 500  # noqa: PT017
    else:
        assert levels == 20
    assert time.process_time() - began < 5  # of the processor, however busy the machine is


@pytest.mark.parametrize(
    "where",
    [
        "ledger_sequence = 1e999999999",
        "ledger_sequence = 1e99999999999999999999999",
        "ledger_sequence = 1e-999999999",
        f"ledger_sequence = {'9' * 100_000}",
        f"ledger_sequence in (1, {'9' * 100_000})",
        "ledger_sequence in (1, 1e999999999)",
        f"ledger_sequence = 0.{'1' * 100}",
        f"substr(asset_code, {'9' * 70}) = 'a'",
        "substr(asset_code, 'a') = 'a'",
        "amount_raw::decimal(999999999, 0) = 1",
        "amount_raw::decimal(38, 39) = 1",
        "amount_raw::decimal('a') = 1",
        "1e75 * 1e75 > 1",
        "1e75::bigint = 1",
        f"asset_code = '{'a' * 600_000}'",
        " or ".join(["amount_raw > 1"] * 3_000),
        f"asset_code in ({','.join(['1'] * 60_000)})",
        " || ".join(["asset_code"] * 100) + " = 'a'",
    ],
    ids=lambda where: where[:40],
)
def test_what_is_too_large_to_compute_is_told_in_a_moment(where: str) -> None:
    began = time.process_time()
    with pytest.raises(sa.ConfigError) as error:
        sa.decode(LEDGER.read_bytes(), ["token_transfers"], where=where)
    assert len(str(error.value)) < 500
    assert time.process_time() - began < 5


def test_a_long_chain_of_one_operator_is_no_deep_nesting() -> None:
    where = " or ".join(f"ledger_sequence = {at}" for at in range(58_752_000, 58_753_000))
    every = sa.decode(LEDGER.read_bytes(), ["token_transfers"])["token_transfers"]
    assert sa.decode(LEDGER.read_bytes(), ["token_transfers"], where=where)["token_transfers"] == every


def test_every_table_must_have_the_columns() -> None:
    with pytest.raises(sa.ConfigError, match="ledgers has no column 'contract_id'"):
        sa.Decoder(["contract_events", "ledgers"], network="pubnet", where="contract_id is null")


@pytest.mark.parametrize("where", ["asset_code::bigint > 5", "ledger_sequence * 4000000000 * 4000000000 > 0"])
def test_values_that_an_expression_cannot_take_are_told_with_their_ledger(where: str) -> None:
    with pytest.raises(sa.ConfigError, match="ledgers 58752000 to 58752000 have values"):
        sa.decode(LEDGER.read_bytes(), ["token_transfers"], where=where)
