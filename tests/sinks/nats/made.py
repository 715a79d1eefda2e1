"""What tests of the NATS sink share: a stream of a test's own, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from secrets import token_hex
from typing import Any

import pytest

import stellarrow as sa
from fakes.nats import NatsServer
from sinks.contract import SinkContract
from sinks.kept import in_order
from sinks.lasting import Work, count_methods, without
from sinks.nats.reader import PlainReader
from stellarrow.sinks.nats import NatsSink
from stellarrow.sinks.nats.connection import Connection
from stellarrow.sinks.nats.stream import Stream


class NatsContract(SinkContract):
    """The NATS sink, on a stream of each test's own."""

    patches: pytest.MonkeyPatch

    choices = ""  # of the URL
    below = ""  # what subjects of tables with contracts end in

    @pytest.fixture(autouse=True)
    def _stream(self, nats: NatsServer) -> Iterator[None]:
        self.nats, self.reader = nats, PlainReader(nats.address)
        self.test = token_hex(4)
        self.stream = self.test
        with ExitStack() as self.opened:
            yield

    @property
    def url(self) -> str:
        return f"nats://{self.nats.address}/?stream={self.stream}{self.choices}"

    def move(self, name: str) -> None:
        self.stream = f"{self.test}-{name}"

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> NatsSink:
        made = NatsSink(self.url, tables or self.tables, **{"network": "synthetic", **choices})
        return self.opened.enter_context(closing(made))

    def subject(self, table: str) -> str:
        return f"{self.stream}.{table}{'' if table == 'ledgers' else self.below}"

    def rows(self, table: str) -> list[dict[str, Any]]:
        return in_order(table, self.rows_decoded(table))

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        return self.reader.rows(self.stream, self.subject(table))

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def everything(self) -> list[dict[str, Any]]:
        return self.reader.messages(self.stream)

    def landing(self) -> tuple[Any, str]:
        return Stream, "publish"

    def tend(self) -> None:
        """Purge all but the last message of each subject of coverage, and what is none of ours."""
        self.reader.purge(self.stream, f"{self.stream}.elsewhere.>")
        for table in self.tables:
            self.reader.purge(self.stream, f"{self.stream}.coverage.{table}.0000000000", keep=1)

    def count_work(self, work: Work) -> None:
        sizes = {"publish": lambda *given: sum(len(one.value) for one in given[1])}
        count_methods(self.patches, work, Stream, sizes)
        count_methods(self.patches, work, Connection, dict.fromkeys(("request", "gather", "run")))

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        sink = self.open(**choices)
        sink.write(without(column, batch))
        sink.commit()
        sink.close()
