"""What goes in comes out: amounts to the last digit, moments, texts that PostgreSQL cannot hold."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

import psycopg
import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.postgres import url_of
from sinks.postgres.made import asked, balance, batch, entry
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.ddl import layout, sql_type

I128_MOST = 2**127 - 1
MODES = pytest.mark.parametrize("mode", ["live", "backfill"])


def keep(database: str, *batches: sa.LedgerBatch, **choices: Any) -> None:
    tables = list(batches[0].tables)
    with closing(PostgresSink(database, tables, **{"network": "pubnet", **choices})) as sink:
        for one in batches:
            sink.write(one)
        sink.commit()


@MODES
def test_amounts_are_exact_at_both_ends_of_an_i128(database: str, mode: str) -> None:
    amounts = [0, 1, 9_999, 10_000, 10_001, 10**4, 10**8, 10**12 + 1, 10**38 - 1, 10**38, I128_MOST]
    amounts += [-amount for amount in amounts if amount] + [-(2**127)]
    rows = [balance(place, f"{place:02}", amount) for place, amount in enumerate(amounts)]
    keep(database, batch(0, 99, rows), mode=mode)
    for table in ("entries", "current_states"):
        found = asked(
            database, f"SELECT balance, balance_text FROM contract_data.{table} ORDER BY ledger_key_hash"
        )
        assert [int(row["balance"]) for row in found] == amounts
        assert [row["balance_text"] for row in found] == [str(amount) for amount in amounts]
    total = asked(database, "SELECT sum(balance) FROM contract_data.entries")[0]["sum"]
    assert int(total) == sum(amounts)


@MODES
def test_amounts_of_39_digits_are_exact_beside_none_and_in_half_a_batch(database: str, mode: str) -> None:
    amounts = {place: (-1) ** place * (10**38 + place) for place in range(64) if place % 3}
    rows = [
        balance(place, f"{place:02}", amounts[place]) if place in amounts else entry(place, f"{place:02}")
        for place in range(64)
    ]
    keep(database, batch(0, 4, rows), batch(0, 63, rows), mode=mode)
    found = asked(database, "SELECT ledger_sequence, balance FROM contract_data.entries ORDER BY 1")
    assert {row["ledger_sequence"]: row["balance"] for row in found} == {
        place: Decimal(amounts[place]) if place in amounts else None for place in range(64)
    }


@MODES
def test_moments_do_not_depend_on_the_sessions_time_zone(database: str, mode: str) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 123_456, tzinfo=UTC)  # an hour that Zurich skips
    elsewhere = url_of(database, options="-c timezone=Europe/Zurich")
    keep(elsewhere, batch(1, 1, [entry(1, "k", closed_at=moment)]), mode=mode)
    assert asked(database, "SELECT closed_at FROM contract_data.entries") == [{"closed_at": moment}]


def test_a_nul_that_an_older_release_left_in_a_text_is_escaped_and_nothing_else_is(database: str) -> None:
    memos = ["plain", "", "back\\\\slash", "with \0 and \\", None]
    row = {
        "closed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "transaction_hash": "0" * 64,
        "account": "G",
        "account_sequence": 1,
        "max_fee": 100,
        "fee_charged": 100,
        "successful": True,
        "result_code": "tx_success",
        "operation_count": 1,
        "memo_type": "text",
        "is_soroban": False,
    }
    rows = [
        {**row, "ledger_sequence": 1, "transaction_index": place, "memo": memo}
        for place, memo in enumerate(memos)
    ]
    keep(database, batch(1, 1, rows, "transactions"))
    found = asked(database, "SELECT memo FROM stellar.transactions ORDER BY transaction_index")
    assert [one["memo"] for one in found] == ["plain", "", "back\\\\slash", "with \\0 and \\\\", None]


def test_a_nul_in_a_list_is_escaped_too(database: str) -> None:
    schema = sa.schema("contract_events", decoded=True)
    events = {
        "ledger_sequence": 1,
        "closed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "transaction_index": 1,
        "transaction_hash": "0" * 64,
        "transaction_successful": True,
        "event_index": 0,
        "event_type": "contract",
        "topics_xdr": ["AAAAAQ=="],
        "data_xdr": "AAAAAQ==",
        "topics_json": ['"a\0b"', '"c"'],
        "data_json": '"d"',
    }
    made = pa.RecordBatch.from_pylist([events, {**events, "event_index": 1}], schema)
    kept = batch(1, 1, [], "contract_events")
    keep(database, sa.LedgerBatch(1, 1, {"contract_events": made.slice(1)}, kept.run), decoded=True)
    found = asked(database, "SELECT event_index, topics_json FROM stellar.contract_events")
    assert found == [{"event_index": 1, "topics_json": ['"a\\0b"', '"c"']}]


def test_entries_have_the_columns_of_the_table_and_two_of_their_own(database: str) -> None:
    with closing(PostgresSink(database, ["contract_data"], network="pubnet")) as sink:
        sink._writers[0].writing()
    found = asked(
        database,
        "SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS needed"
        " FROM pg_attribute WHERE attrelid = 'contract_data.entries'::regclass AND attnum > 0"
        " ORDER BY attnum",
    )
    wanted = [
        {
            "name": field.name,
            "type": {
                'text COLLATE "C"': "text",
                "numeric(39, 0)": "numeric(39,0)",
                "timestamptz": "timestamp with time zone",
            }.get(sql_type(field), sql_type(field)),
            "needed": not field.nullable and not field.name.endswith("_json"),
        }
        for field in layout("contract_data").schema
    ]
    assert found == [
        *wanted,
        {"name": "ingested_at", "type": "timestamp with time zone", "needed": True},
        {"name": "batch_id", "type": "uuid", "needed": True},
    ]


@pytest.mark.parametrize("decoded", [False, True])
def test_every_table_of_real_ledgers_comes_back_as_it_was_decoded(
    database: str, real: tuple[bytes, ...], decoded: bool
) -> None:
    names = list(dict.fromkeys(table.name for table in sa.tables()))
    for data in real:
        tables = sa.decode(data, names, network="pubnet", decoded=decoded)
        ledger = tables["ledgers"].column("ledger_sequence")[0].as_py()
        kept = sa.LedgerBatch(ledger, ledger, tables, batch(1, 1, []).run)
        keep(database, kept, decoded=decoded, mode="backfill")
        for name, rows in tables.items():
            assert held(database, name, rows.schema.names, ledger) == rows.to_pylist(), name


def held(database: str, name: str, columns: list[str], ledger: int) -> list[dict[str, Any]]:
    kept = layout(name)
    read = ", ".join(
        f'"{one}"::text' if one.endswith("_json") and one != "topics_json" else f'"{one}"' for one in columns
    )
    order = ", ".join(f'"{one}" NULLS FIRST' for one in kept.key if one != "stage")
    query = f"SELECT {read} FROM {kept.place} WHERE ledger_sequence = {ledger} ORDER BY {order}"
    with psycopg.connect(database) as connection:
        return [dict(zip(columns, row, strict=True)) for row in connection.execute(query.encode())]


@pytest.fixture(scope="session")
def real() -> tuple[bytes, ...]:
    """The two ledgers of the public network that come with the package."""
    folder = files("stellarrow") / "data" / "ledgers"
    return tuple(one.read_bytes() for one in folder.iterdir() if ".xdr." in one.name)
