"""What was written is read back by the commands and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

import stellarrow as sa
from fakes.kafka import Broker
from sinks.holes import assert_told, hole_told

Run = Callable[..., Any]


@pytest.fixture(params=["arrow", "json"])
def url(kafka: Broker, request: pytest.FixtureRequest) -> str:
    return f"kafka://{kafka.address}/?topic_prefix={token_hex(4)}.&format={request.param}"


@pytest.fixture
def written(url: str, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
    """Topics with ledgers 100 to 119 and 130 to 139."""
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


def test_sql_asks_topics(written: str, stellarrow: Run) -> None:
    done = stellarrow(
        "sql", "select count(*) as n, max(ledger_sequence) as last from ledgers", "--data", written, "--json"
    )
    assert (json.loads(done.out), done.code) == ({"n": 30, "last": 139}, 0)


def test_check_says_what_retention_removed_and_that_it_cannot_be_repaired(
    written: str, stellarrow: Run, kafka: Broker
) -> None:
    sound = stellarrow("check", written)
    assert (sound.code, "2 tables of 2 sound" in sound.out) == (0, True)
    with hole_told("ledgers"), hole_told("contract_data"):
        rows = sum(sa.scan(written, table=name).to_table().num_rows for name in ("ledgers", "contract_data"))
    assert f" {rows} rows in all" in sound.out
    prefix = written.partition("topic_prefix=")[2].partition("&")[0]
    client = AdminClient({"bootstrap.servers": kafka.address})
    for done in client.delete_records([TopicPartition(f"{prefix}ledgers", 0, 5)]).values():
        done.result(60)
    told = stellarrow("check", written)
    assert told.code == 1
    assert "its retention removed the rest" in told.out
    report = json.loads(stellarrow("check", written, "--json").out)
    assert [one["table"] for one in report["faults"]] == ["ledgers"]
    refused = stellarrow("check", written, "--repair")
    assert (refused.code, "cannot be repaired" in refused.err) == (2, True)


def test_what_retention_removed_is_not_written_again(
    written: str, stellarrow: Run, kafka: Broker, make_lake: Callable[..., Path]
) -> None:
    prefix = written.partition("topic_prefix=")[2].partition("&")[0]
    client = AdminClient({"bootstrap.servers": kafka.address})
    for done in client.delete_records([TopicPartition(f"{prefix}ledgers", 0, 5)]).values():
        done.result(60)
    done = stellarrow("extract", make_lake(), "--tables", "ledgers,contract_data", "--to", written)
    assert done.code == 0
    told = json.loads(stellarrow("coverage", written, "--json").out)
    assert {one["ledgers"] for one in told["tables"]} == {"100:139"}
    rows = sa.scan(written, table="ledgers").to_table().column("ledger_sequence").to_pylist()
    assert len(rows) == len(set(rows)) < 40


def test_doctor_looks_at_topics_and_shows_no_password(url: str, stellarrow: Run, kafka: Broker) -> None:
    done = stellarrow("doctor", "--to", url)
    assert "1 broker, no topic" in done.out
    secret = url.replace("kafka://", "kafka://ann:nobody-may-see-it@").replace(
        str(kafka.plain), str(kafka.scram)
    )
    done = stellarrow("doctor", "--to", secret)
    assert done.code == 1
    assert "set the right user, password" in done.out
    assert "nobody-may-see-it" not in done.out + done.err


def test_topics_without_a_table_say_so(url: str, stellarrow: Run) -> None:
    for words in (("coverage", url), ("sql", "select 1", "--data", url), ("check", url)):
        done = stellarrow(*words)
        assert (done.code in (1, 2), "holds no table" in done.err) == (True, True), done.err
