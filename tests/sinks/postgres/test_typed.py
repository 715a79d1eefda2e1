"""Contracts' own tables in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

import stellarrow as sa
from sinks.postgres.made import asked
from sinks.test_typed_files import busiest
from stellarrow.core.typed_columns import own_columns
from stellarrow.sinks.postgres.typed_names import column_name, place_of
from tables.golden import PACKAGED
from typed_specs import transfer_spec

LEDGER = PACKAGED / "pubnet-58752000.xdr.zst"
KALE = "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"
CODE = Path(__file__).parents[2] / "data" / "wasm" / "mock_sep_41_token.wasm"
FARM = "CDL74RF5BLYR2YBLCCI7F5FB6TPSCLKEJUBSD2RSVWZ4YHF3VMFAIGWA"


def url_of(database: str) -> str:
    parts = conninfo_to_dict(database)
    return f"postgres://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"


def test_every_event_and_key_case_is_a_table_once_whatever_is_run_again(database: str) -> None:
    tables = sa.typed(KALE, LEDGER, network="pubnet")
    for _ in range(2):
        sa.run(LEDGER, tables=[f"typed:{KALE}"], sinks=url_of(database), network="pubnet")
    mints = asked(database, "SELECT * FROM typed.cb23wrdqwgsp_mint ORDER BY event_index, transaction_index")
    expected = tables["events/mint"].to_table().to_pylist()
    assert {(row["to"], row["amount"], row["admin"]) for row in mints} == {
        (row["to"], row["amount"], FARM) for row in expected
    }
    assert len(mints) == 12
    places = [row["table_name"] for row in asked(database, "SELECT table_name FROM stellar.typed_tables")]
    assert {*places} == {place_of(f"typed:{KALE}/{name}") for name in tables if not name.startswith("state/")}
    (balances,) = asked(
        database,
        'SELECT count(*), min("value_BalanceValue"::text) FROM typed.cb23wrdqwgsp_storage_balance_state',
    )
    state = tables["state/Balance"].to_table()
    assert balances["count"] == state.num_rows
    assert '"amount":' in balances["min"]


def test_a_database_made_without_an_interface_is_not_given_the_same_rows_again_with_it(database: str) -> None:
    with pytest.warns(sa.SpecUnknown):
        sa.run(LEDGER, tables=[f"typed:{FARM}"], sinks=url_of(database), network="pubnet")
    with pytest.raises(sa.ConfigError, match="Write to another place"):
        sa.run(
            LEDGER,
            tables=[f"typed:{FARM}"],
            sinks=url_of(database),
            network="pubnet",
            specs={FARM: CODE},
        )


def test_columns_come_with_new_code_and_rows_stay(database: str, make_lake: Callable[..., Path]) -> None:
    lake = make_lake(100, 103)
    contract = busiest(lake)
    for ledgers, kind in (("100:101", "i128"), ("102:102", "val"), ("103:103", "i128")):
        tables, specs = [f"typed:{contract}/events"], {contract: transfer_spec(kind)}
        sa.run(lake, tables=tables, sinks=url_of(database), specs=specs, ledgers=ledgers)
    (kept,) = asked(database, "SELECT * FROM stellar.typed_tables WHERE typed_name ~ '/Transfer$'")
    assert (kept["columns_version"], len(kept["interfaces"])) == (2, 2)
    later = next(
        name
        for name in _columns(database, kept["table_name"])
        if name.startswith("amount_") and name != "amount_text"
    )
    rows = asked(
        database, f'SELECT ledger_sequence, "from", amount, "{later}" AS later FROM {kept["table_name"]}'
    )
    plain = sa.scan(lake, table="contract_events").to_table().to_pylist()
    assert len(rows) == [(row["contract_id"], row["event_name"]) for row in plain].count(
        (contract, "transfer")
    )
    for row in rows:
        assert row["from"]
        assert (row["amount"] is None, row["later"] is None) == (
            row["ledger_sequence"] == 102,
            row["ledger_sequence"] != 102,
        )


def _columns(database: str, place: str) -> list[str]:
    schema, _, table = place.partition(".")
    query = "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = (%s, %s)"
    return [row["column_name"] for row in asked(database, query, [schema, table])]


def test_all_digits_of_an_amount_are_kept(database: str) -> None:
    from stellarrow.core.typed import Knowledge  # noqa: PLC0415
    from stellarrow.sinks.postgres import PostgresSink  # noqa: PLC0415
    from typed_specs import CONTRACT, Kind, event_of, interface, u32  # noqa: PLC0415

    kinds = [Kind("i128"), Kind("u64"), Kind("vec", (Kind("u32"),))]
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: interface(kinds, 0)}).tables()
    least = u32(10) + (-(2**127)).to_bytes(16, "big", signed=True)
    most = u32(5) + (2**64 - 1).to_bytes(8, "big")
    items = u32(16) + u32(1) + u32(1) + u32(3) + u32(7)
    name = f"typed:{CONTRACT}/events/Moved"
    rows = tables.rows(CONTRACT, events=[event_of([least, most, items], 0)])[name]
    sink = PostgresSink(database, [name], network="synthetic")
    sink.write(sa.LedgerBatch(0, 0, {name: rows}, sa.LedgerRun(1, 0, 0, 0, 0, "", "", 0, 0)))
    sink.commit()
    sink.close()
    (row,) = asked(database, f"SELECT * FROM {place_of(name)}")
    assert (int(row["p0"]), int(row["p1"]), row["p2"]) == (-(2**127), 2**64 - 1, [7])
    assert {field.name for field in own_columns(rows.schema)} <= {*row}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("typed:CABCDEFGHIJKLMNO/events/SetAdmin", "typed.cabcdefghijk_set_admin"),
        ("typed:CABCDEFGHIJKLMNO/storage/Balance", "typed.cabcdefghijk_storage_balance"),
        ("typed:CABCDEFGHIJKLMNO/storage/_other", "typed.cabcdefghijk_storage__other"),
    ],
)
def test_names_of_tables_are_those_of_sql(name: str, place: str) -> None:
    assert place_of(name) == place


def test_names_that_are_too_long_or_odd_end_with_a_digest() -> None:
    odd, long = place_of("typed:CA/events/a b"), place_of(f"typed:CA/events/{'x' * 60}")
    assert odd != place_of("typed:CA/events/a?b")
    assert len(long.partition(".")[2]) == 45
    assert len(column_name("é" * 60).encode()) <= 63
    assert column_name("é" * 60) != column_name("é" * 59)
