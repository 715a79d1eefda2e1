from __future__ import annotations

import json
import subprocess
import time
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

import stellarrow as sa
from sinks.kafka.made import KafkaContract
from sinks.kept import in_order
from sinks.shared import SharedSinkContract
from sinks.typed_tables import TypedTablesContract
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.files.formats.jsonl import lines_of

_SECONDS = 120.0  # that the broker's cleaner may take


class TestKafkaSink(KafkaContract, SharedSinkContract):
    """Arrow IPC, a ledger a message."""

    longest = 1.0
    stride = 13  # each takes more than a second
    span = 13  # two writers take turns, about half a second each

    def opening(self) -> str:
        return (
            "from sinks.kafka.stepping import stepping_cluster\n"
            "from stellarrow.sinks.kafka import KafkaSink\n"
            f"sink = KafkaSink(stepping_cluster({self.url!r}, step), {self.tables!r}, network='synthetic')"
        )

    def tend(self) -> None:
        """Let the broker throw away every record of coverage that was replaced, as soon as it can."""
        settings = {"segment.ms": "10", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "1"}
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()
        ]
        topic = ConfigResource(ResourceType.TOPIC, f"{self.prefix}coverage", incremental_configs=entries)
        client = AdminClient({"bootstrap.servers": self.kafka.address})
        for done in client.incremental_alter_configs([topic]).values():
            done.result(30)

    @pytest.mark.parametrize("commit_each", [True])
    def test_killed_before_any_step_it_resumes(
        self, forks: subprocess.Popen[str], *, commit_each: bool
    ) -> None:
        super().test_killed_before_any_step_it_resumes(forks, commit_each=commit_each)

    def test_coverage_survives_that_the_broker_throws_away_what_was_replaced(self) -> None:
        sink = self.open()
        sink.write(self.batch(100, 100))
        sink.commit()
        self.tend()
        deadline, ledger = time.monotonic() + _SECONDS, 100
        while len(records := self.consumer.messages(f"{self.prefix}coverage")) >= 2 * (ledger - 99):
            assert time.monotonic() < deadline, "the broker threw nothing away"
            ledger += 1
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        assert {one["key"].decode().rpartition("/")[0] for one in records} == set(self.tables)
        sink.close()
        self.assert_holds(f"100:{ledger}")


@pytest.mark.slow
class TestTypedTables(TypedTablesContract, TestKafkaSink):
    """A contract's own tables in topics."""

    @property
    def address(self) -> str:
        return self.url


class TestKafkaByContract(KafkaContract):
    """Arrow IPC, keyed by contract, in three partitions."""

    choices = "&key=contract&partitions=3"

    def tend(self) -> None:
        """Nothing that others do here differs from what they do to topics keyed by ledger."""

    def test_messages_of_a_contract_lie_in_one_partition_in_order(self) -> None:
        self.ledgers = tuple(islice(synthetic(20, first=100, ledger_bytes=20_000), 20))
        self.keep((100, 109), (110, 119))
        found = self.consumer.messages(f"{self.prefix}contract_data")
        assert len({one["partition"] for one in found}) == 3
        places: dict[bytes, list[tuple[int, int]]] = {}
        for one in found:
            rows = pa.ipc.open_stream(one["value"]).read_all().to_pylist()
            assert {row["contract_id"].encode() for row in rows} == {one["key"]}
            ledger = int(dict(one["headers"])["ledger"])
            places.setdefault(one["key"], []).append((one["partition"], ledger))
        assert any(len(one) > 1 for one in places.values())
        for held in places.values():
            assert len({partition for partition, _ in held}) == 1
            assert held == sorted(held)


class TestKafkaJson(KafkaContract):
    """A row a message, as JSON."""

    choices = "&format=json"

    def tend(self) -> None:
        """Nothing that others do here differs from what they do to topics of Arrow IPC."""

    def rows(self, table: str) -> list[dict[str, Any]]:
        found = self.consumer.messages(f"{self.prefix}{table}")
        return in_order(table, [json.loads(one["value"]) for one in found])

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        return self.rows(table)

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        rows = self.batch(first, last).tables[table]
        return in_order(table, [json.loads(line) for line in lines_of(rows).to_pybytes().splitlines()])

    def test_what_is_read_back_is_what_was_written(self) -> None:
        self.keep((100, 109))
        read = sa.scan(self.url, table="contract_data").to_table().to_pylist()
        assert in_order("contract_data", read) == in_order(
            "contract_data", self.batch(100, 109).tables["contract_data"].to_pylist()
        )
