"""SQL on batches in flight says what DuckDB says of the same rows."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stellarrow as sa

LEDGER = Path(sa.__file__).parent / "data" / "ledgers" / "pubnet-58752000.xdr.zst"


@cache
def rows(table: str) -> pa.Table:
    return pa.table(sa.decode(LEDGER.read_bytes(), [table])[table])


def ours(table: str, where: str) -> list[int]:
    """Return which rows are kept, by their places."""
    kept = sa.decode(LEDGER.read_bytes(), [table], where=where)[table]
    keys = sa.keys(table)
    places = {tuple(row.values()): place for place, row in enumerate(rows(table).select(keys).to_pylist())}
    return [places[tuple(row.values())] for row in kept.select(keys).to_pylist()]


def theirs(table: str, where: str) -> list[int]:
    held = rows(table).append_column("place", pa.array(range(len(rows(table)))))
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("held", held)
    found = connection.execute(f"select place from held where {where} order by place").fetchall()
    return [place for (place,) in found]


CONDITIONS = {
    "token_transfers": [
        "event_type = 'transfer' and amount_raw > 10000000",
        "amount_raw > 0.5 or amount_raw <= -100.25",
        "amount_raw >= 99999999999999999999999999999999999999",
        "amount_raw between 1 and 10000 and not transaction_successful",
        "amount_raw + 1 > 2 * amount_raw - 5",
        "-amount_raw < -1000000",
        "abs(amount_raw) > 1000",
        "amount_text::decimal(38, 0) = amount_raw",
        "amount_raw::text like '1%0'",
        '"from" is null or "to" is null',
        "asset_code in ('USDC', 'AQUA')",
        "asset_code not in ('USDC', 'AQUA')",
        "not (asset_code = 'USDC')",
        "asset_code is distinct from 'USDC'",
        "asset_code is not distinct from operation_type",
        "operation_index in (0, 2, 5) and transaction_index % 7 = 3",
        "case when event_type = 'fee' then amount_raw < 0 else asset_code is null end",
        "case event_type when 'fee' then true else false end",
        "if(asset_code is null, amount_raw, 0) > 5",
        "coalesce(asset_code, 'XLM') = 'XLM'",
        "nullif(asset_code, 'USDC') is null",
        "upper(operation_type) = 'PAYMENT' or lower(asset_code) = 'usdc'",
        "length(asset_code) > 4 and substr(asset_code, 2, 2) = 'HX'",
        "asset_code || ':' || asset_issuer like 'US%:G%'",
        "asset_code ilike 'u_dc'",
        "starts_with(contract_id, 'CA') and contains(contract_id, 'Z') and ends_with(asset_code, 'A')",
        "regexp_matches(asset_code, '^[A-Z]{3}$')",
        "closed_at >= '2024-01-01' and closed_at < timestamp '2030-01-01 00:00:00'",
        "date_trunc('month', closed_at) = '2025-09-01'",
        "year(closed_at) = 2025 and month(closed_at) = 9 and hour(closed_at) < 24",
        "transaction_successful is false",
        "transaction_successful = true and (event_index < 100 or event_index > 500)",
        "EVENT_TYPE = 'transfer'",
        "(amount_raw / 2)::bigint > 50 or (amount_raw / 4)::bigint = -25",
        "amount_raw % 3 = 1",
        r"asset_code like 'U\_%'",
        "coalesce(operation_index, -1) < 0 and nullif(amount_raw, 100) is null",
        "case when event_type = 'fee' then amount_raw else 0.5 end > 0.25",
        f"amount_raw in ({', '.join(map(str, range(90, 2000)))})",
        "asset_code in ('USDC', asset_type) or amount_raw in (100, -200)",
        "closed_at in ('2025-09-03 00:10:28', '2020-01-01')",
        "operation_index in (0, 5000000000) and event_index not in (1, 2, 3)",
        "true",
        "1 = 2",
    ],
    "contract_events": [
        "event_name = 'transfer' and operation_index = 0",
        "topics_xdr[1] = topics_xdr[2] or len(topics_xdr) > 3",
        "topics_xdr[4] is null",
        "contract_id in (select_me)".replace(
            "select_me", "'CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA'"
        ),
    ],
    "contract_data": [
        "not deleted and balance > 1000",
        "deleted = false and change_type <> 'updated'",
        "expiration_ledger_seq - ledger_sequence > 1000",
        "contract_durability = 'ContractDataDurabilityTemporary' or balance is not null",
    ],
}


@pytest.mark.parametrize(
    ("table", "where"), [(table, one) for table, some in CONDITIONS.items() for one in some]
)
def test_a_condition_keeps_the_rows_that_duckdb_keeps(table: str, where: str) -> None:
    assert ours(table, where) == theirs(table, where)


def comparison() -> st.SearchStrategy[str]:
    numbers = st.sampled_from(["amount_raw", "operation_index", "transaction_index", "event_index"])
    values = st.one_of(st.integers(-100, 10**9).map(str), numbers)
    texts = st.sampled_from(["event_type", "operation_type", "asset_code", "asset_type", '"from"', '"to"'])
    words = st.sampled_from(["'transfer'", "'fee'", "'payment'", "'USDC'", "'native'", "''"])
    operator = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    return st.one_of(
        st.builds("{} {} {}".format, numbers, operator, values),
        st.builds("{} {} {}".format, texts, operator, st.one_of(words, texts)),
        st.builds("{} in ({}, {})".format, texts, words, words),
        st.builds("{} is null".format, st.one_of(texts, numbers)),
        st.builds("{} + {} > {}".format, numbers, numbers, values),
    )


CONDITION = st.recursive(
    comparison(),
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(CONDITION)
def test_any_condition_keeps_the_rows_that_duckdb_keeps(where: str) -> None:
    assert ours("token_transfers", where) == theirs("token_transfers", where)


def selected(select: str) -> pa.RecordBatch:
    where = sa.Filter(where="event_type = 'transfer'", select=select)
    return sa.decode(LEDGER.read_bytes(), ["token_transfers"], where=where)["token_transfers"]


def test_columns_are_made_and_renamed_and_the_ledger_comes_along() -> None:
    made = selected('"from" as sender, amount_raw / 10000000 as amount, upper(asset_type) as kind')
    assert made.schema.names == ["ledger_sequence", "sender", "amount", "kind"]
    raw = sa.decode(LEDGER.read_bytes(), ["token_transfers"], where="event_type = 'transfer'")[
        "token_transfers"
    ]
    amounts = raw.column("amount_raw").to_pylist()
    assert made.column("amount").to_pylist() == [amount / Decimal(10_000_000) for amount in amounts]
    assert made.column("sender") == raw.column("from")


def test_a_star_is_all_columns_and_may_leave_some_out() -> None:
    names = sa.schema("token_transfers").names
    assert selected("*").schema == sa.schema("token_transfers")
    assert selected("* exclude (amount_text), 1 as one").schema.names == [
        *(name for name in names if name != "amount_text"), "one",
    ]  # fmt: skip


def test_amounts_beyond_64_bits_and_floats_stay_exact() -> None:
    made = selected("amount_raw * 100000000000000000000 + 1 as huge, date_trunc('hour', closed_at) as hour")
    raw = sa.decode(LEDGER.read_bytes(), ["token_transfers"], where="event_type = 'transfer'")[
        "token_transfers"
    ]
    assert made.column("huge").to_pylist() == [
        amount * 10**20 + 1 for amount in map(int, raw.column("amount_raw").to_pylist())
    ]
    assert made.column("hour")[0].as_py() == datetime(2025, 9, 3, 0, tzinfo=UTC)


def test_a_schema_is_known_before_any_ledger() -> None:
    where = sa.Filter(select="contract_id, amount_raw / 2 as half")
    schema = sa.schema("token_transfers", where=where)
    assert (
        schema == sa.decode(LEDGER.read_bytes(), ["token_transfers"], where=where)["token_transfers"].schema
    )
    assert schema.field("half").type == pa.decimal128(38, 4)
    assert schema.metadata == sa.schema("token_transfers").metadata
