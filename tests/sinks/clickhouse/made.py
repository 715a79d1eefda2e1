"""What tests of the ClickHouse sink share: a database of a test's own, and a client that is not ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from secrets import token_hex
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

import stellarrow as sa
from fakes.clickhouse import ClickHouse
from sinks.kept import in_order
from sinks.lasting import LastingContract, Work, count_methods, without
from stellarrow.core.tables import columns_of
from stellarrow.sinks.clickhouse import ClickHouseSink, sink
from stellarrow.sinks.clickhouse.commits import Commits
from stellarrow.sinks.clickhouse.server import Server


class Reader:
    """Asks as anybody does."""

    def __init__(self, server: ClickHouse) -> None:
        self._server = server
        self._client: Client | None = None

    def ask(self, query: str) -> list[dict[str, Any]]:
        answer = self.client.raw_query(query, fmt="ArrowStream")
        found: list[dict[str, Any]] = pa.ipc.open_stream(answer).read_all().to_pylist()
        return found

    def do(self, statement: str) -> None:
        self.client.command(statement)

    @property
    def client(self) -> Client:
        if self._client is None:
            self._client = clickhouse_connect.get_client(
                host="127.0.0.1", port=self._server.port, autogenerate_session_id=False
            )
        return self._client

    def has(self, database: str, name: str) -> bool:
        query = f"SELECT name FROM system.tables WHERE database = '{database}' AND name = '{name}'"
        return bool(self.ask(query))

    def tables(self, database: str) -> list[str]:
        found = self.ask(
            "SELECT name FROM system.tables WHERE database = "
            f"'{database}' AND engine NOT IN ('View', 'MaterializedView') ORDER BY name"
        )
        return [str(row["name"]) for row in found]


class ClickHouseContract(LastingContract):
    """The ClickHouse sink, in a database of each test's own."""

    choices = ""  # of the URL

    @pytest.fixture(autouse=True)
    def _database(self, clickhouse: ClickHouse, reader: Reader) -> Iterator[None]:
        self.clickhouse, self.reader = clickhouse, reader
        self.test = f"test_{token_hex(4)}"
        self.databases = {self.test}
        self.database = self.test
        with ExitStack() as self.opened:
            yield
        for name in self.databases:
            reader.do(f"DROP DATABASE IF EXISTS {name}")

    @property
    def url(self) -> str:
        return f"clickhouse://{self.clickhouse.address}/{self.database}{self.choices}"

    def move(self, name: str) -> None:
        self.database = f"{self.test}_{name.replace('-', '_')}"
        self.databases.add(self.database)

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> ClickHouseSink:
        made = ClickHouseSink(self.url, tables or self.tables, **{"network": "synthetic", **choices})
        return self.opened.enter_context(closing(made))

    def rows(self, table: str) -> list[dict[str, Any]]:
        if not self.reader.has(self.database, table):  # its view is made last
            return []
        return in_order(table, self.reader.ask(f"SELECT * FROM {self.database}.{table}"))

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        return self.reader.ask(f"SELECT * FROM {self.database}.{table}")

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def everything(self) -> dict[str, Any]:
        return {
            name: sorted(self.reader.ask(f"SELECT * FROM {self.database}.{name}"), key=str)
            for name in self.reader.tables(self.database)
        }

    def landing(self) -> tuple[Any, str]:
        return Commits, "_insert"

    def count_work(self, work: Work) -> None:
        count_methods(
            self.patches,
            work,
            Server,
            {"insert": lambda *given: given[2].nbytes, "do": lambda *given: len(given[1]), "stream": None},
        )

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        def columns(*given: Any, **named: Any) -> pa.Schema:
            known = columns_of(*given, **named)
            return known.remove(known.get_field_index(column)) if column in known.names else known

        with self.patches.context() as patched:
            patched.setattr(sink, "columns_of", columns)
            made = self.open(**choices)
        made.write(without(column, batch))
        made.commit()
        made.close()
