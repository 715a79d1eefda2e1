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
from sinks.holes import hole_told
from sinks.read_back import ReadBack, write_parts
from sinks.typed_tables import TypedReadBack

Run = Callable[..., Any]


@pytest.fixture(params=["arrow", "json"])
def url(kafka: Broker, request: pytest.FixtureRequest) -> str:
    return f"kafka://{kafka.address}/?topic_prefix={token_hex(4)}.&format={request.param}"


class TestKafka(ReadBack):
    @pytest.fixture
    def place(self, url: str) -> str:
        return url


class TestTypedTables(TypedReadBack):
    @pytest.fixture
    def place(self, kafka: Broker) -> str:
        return f"kafka://{kafka.address}/?topic_prefix={token_hex(4)}."


@pytest.mark.slow
class TestTypedTablesAsJson(TestTypedTables):
    @pytest.fixture
    def place(self, kafka: Broker) -> str:
        return f"kafka://{kafka.address}/?topic_prefix={token_hex(4)}.&format=json"


@pytest.fixture
def written(url: str, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
    return write_parts(url, stellarrow, make_lake())


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
