"""What tests of the Kafka sink share: topics of a test's own, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from secrets import token_hex
from typing import Any

import pytest

import stellarrow as sa
from fakes.kafka import Broker
from sinks.kafka.reader import PlainConsumer
from sinks.kept import in_order
from sinks.lasting import LastingContract, Work, count_methods, without
from stellarrow.sinks.kafka import KafkaSink
from stellarrow.sinks.kafka.cluster import Cluster
from stellarrow.sinks.kafka.transaction import Writer

_UNCOMMITTED = "read_uncommitted"


class KafkaContract(LastingContract):
    """The Kafka sink, on topics of each test's own."""

    choices = ""  # of the URL

    @pytest.fixture(autouse=True)
    def _topics(self, kafka: Broker, consumer: PlainConsumer) -> Iterator[None]:
        self.kafka, self.consumer = kafka, consumer
        self.test = token_hex(4)
        self.prefix = f"{self.test}."
        with ExitStack() as self.opened:
            yield

    @property
    def url(self) -> str:
        return f"kafka://{self.kafka.address}/?topic_prefix={self.prefix}{self.choices}"

    def move(self, name: str) -> None:
        self.prefix = f"{self.test}.{name}."

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> KafkaSink:
        made = KafkaSink(self.url, tables or self.tables, **{"network": "synthetic", **choices})
        return self.opened.enter_context(closing(made))

    def rows(self, table: str) -> list[dict[str, Any]]:
        return in_order(table, self.consumer.rows(f"{self.prefix}{table}"))

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        return self.consumer.rows(f"{self.prefix}{table}")

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def topics(self) -> list[str]:
        with closing(KafkaSink(self.url, ["ledgers"], network="synthetic")) as sink:
            return [name for name in sink._cluster.names() if name.startswith(self.prefix)]

    def everything(self) -> dict[str, Any]:
        return {name: self.consumer.messages(name, _UNCOMMITTED) for name in self.topics()}

    def landing(self) -> tuple[Any, str]:
        return Writer, "commit"

    def count_work(self, work: Work) -> None:
        count_methods(self.patches, work, Writer, {"send": lambda *given: len(given[3]), "commit": None})
        names = ("topics", "ends", "messages", "create", "producer")
        count_methods(self.patches, work, Cluster, dict.fromkeys(names))

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        sink = self.open(**choices)
        sink.write(without(column, batch))
        sink.commit()
        sink.close()
