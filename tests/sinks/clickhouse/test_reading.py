"""What was written is read back by the commands and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.clickhouse import PASSWORD
from sinks.clickhouse.test_faults import Database
from sinks.holes import assert_told, hole_told

Run = Callable[..., Any]


@pytest.fixture
def written(database: Database, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
    """A database with ledgers 100 to 119 and 130 to 139."""
    url = database.url()
    for ledgers in ("100:119", "130:139"):
        done = stellarrow(
            *("extract", make_lake(name=ledgers.replace(":", "-")), "--tables", "ledgers,contract_data"),
            *("--ledgers", ledgers, "--to", url),
        )
        assert done.code == 0, done.err
    return url


def expected(ledgers: tuple[bytes, ...], table: str, ranges: list[tuple[int, int]]) -> list[dict[str, Any]]:
    return [
        row
        for first, last in ranges
        for ledger in ledgers[first - 100 : last - 99]
        for row in sa.decode(ledger, tables=[table], network="synthetic")[table].to_pylist()
    ]


def test_every_way_to_read_tells_of_a_hole(written: str, stellarrow: Run) -> None:
    assert_told(written, stellarrow)


def test_scan_reads_rows_in_the_order_of_ledgers(written: str, ledgers: tuple[bytes, ...]) -> None:
    with hole_told("contract_data"):
        scan = sa.scan(written, table="contract_data")
    assert scan.schema.equals(sa.schema("contract_data"))
    assert scan.to_table().to_pylist() == expected(ledgers, "contract_data", [(100, 119), (130, 139)])
    some = sa.scan(written, table="contract_data", start=110, end=114, columns=["ledger_sequence", "balance"])
    assert some.to_table().to_pylist() == [
        {name: row[name] for name in ("ledger_sequence", "balance")}
        for row in expected(ledgers, "contract_data", [(110, 114)])
    ]
    with hole_told("ledgers"):
        filtered = sa.scan(written, table="ledgers", where="ledger_sequence % 2 = 0").to_table()
    assert filtered.column("ledger_sequence").to_pylist() == [*range(100, 120, 2), *range(130, 140, 2)]
    with pytest.raises(sa.LedgerMissing, match="has 100:119, 130:139, but not 120:129"):
        sa.scan(written, table="ledgers", start=100, end=139)
    with pytest.raises(sa.SourceError, match="has no ttl: it has contract_data, ledgers"):
        sa.scan(written, table="ttl")


def test_coverage_shows_what_is_there_and_verifies_it(written: str, stellarrow: Run) -> None:
    told = json.loads(stellarrow("coverage", written, "--verify", "--json").out)
    found = {one["table"]: one for one in told["tables"]}
    assert {name: one["ledgers"] for name, one in found.items()} == {
        "contract_data": "100:119, 130:139",
        "ledgers": "100:119, 130:139",
    }
    assert (found["ledgers"]["missing"], found["ledgers"]["rows"], found["ledgers"]["faults"]) == (
        "120:129",
        30,
        [],
    )
    assert found["ledgers"]["last_closed_at"] == found["contract_data"]["last_closed_at"]


def test_extract_compares_what_is_there_with_the_source(
    written: str, stellarrow: Run, make_lake: Callable[..., Path]
) -> None:
    words = ("extract", make_lake(), "--tables", "ledgers,contract_data", "--to", written, "--verify")
    done = stellarrow(*words)
    assert done.code == 0, done.err


def test_sql_asks_the_database(written: str, stellarrow: Run) -> None:
    done = stellarrow(
        "sql", "select count(*) as n, max(ledger_sequence) as last from ledgers", "--data", written, "--json"
    )
    assert (json.loads(done.out), done.code) == ({"n": 30, "last": 139}, 0)


def test_check_says_which_ledgers_have_other_rows_than_were_written(
    written: str, stellarrow: Run, database: Database
) -> None:
    sound = stellarrow("check", written)
    assert (sound.code, "2 tables of 2 sound" in sound.out) == (0, True)
    database.reader.do(f"DELETE FROM {database.name}.ledgers_rows WHERE ledger_sequence = 135")
    told = stellarrow("check", written)
    assert (told.code, "rows were added or removed by hand" in told.out) == (1, True)
    report = json.loads(stellarrow("check", written, "--json").out)
    assert [one["table"] for one in report["faults"]] == ["ledgers"]
    refused = stellarrow("check", written, "--repair")
    assert (refused.code, "cannot be repaired" in refused.err) == (2, True)


def test_compact_finds_nothing_to_do_where_nobody_died(written: str, stellarrow: Run) -> None:
    done = stellarrow("compact", written, "--json")
    assert (done.code, json.loads(done.out)) == (0, {"merged": 0})


def test_doctor_looks_at_the_database_and_shows_no_password(written: str, stellarrow: Run) -> None:
    assert "ClickHouse 26" in stellarrow("doctor", "--to", written).out
    secret = written.replace("clickhouse://", "clickhouse://ann:nobody-may-see-it@")
    done = stellarrow("doctor", "--to", secret)
    assert (done.code, "set the right user and password" in done.out) == (1, True)
    assert "nobody-may-see-it" not in done.out + done.err
    right = written.replace("clickhouse://", f"clickhouse://ann:{PASSWORD}@")
    assert stellarrow("coverage", right).code == 0


def test_a_database_without_a_table_says_so(database: Database, stellarrow: Run) -> None:
    for words in (("coverage",), ("sql", "select 1", "--data"), ("check",)):
        done = stellarrow(*words, database.url())
        assert (done.code in (1, 2), "holds no table" in done.err) == (True, True), done.err
