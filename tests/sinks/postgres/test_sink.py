from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import stellarrow as sa
from sinks.contract import SinkContract
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.ddl import layout


class TestPostgresSink(SinkContract):
    """The PostgreSQL sink, live."""

    mode = "live"

    @pytest.fixture(autouse=True)
    def _database(self, database: str) -> Iterator[None]:
        self.database = database
        with ExitStack() as self.opened:
            yield

    def open(self, **choices: Any) -> PostgresSink:
        chosen = {"network": "synthetic", "mode": self.mode, "partition_ledgers": 16, **choices}
        return self.opened.enter_context(closing(PostgresSink(self.database, self.tables, **chosen)))

    def everything(self) -> dict[str, Any]:
        with psycopg.connect(self.database) as connection:
            found = connection.execute(
                "SELECT n.nspname || '.' || c.relname, c.relkind FROM pg_class c JOIN pg_namespace n"
                " ON n.oid = c.relnamespace WHERE n.nspname IN ('stellar', 'contract_data') ORDER BY 1"
            ).fetchall()
            tables = [name for name, kind in found if kind in ("r", "p")]
            held = {
                name: connection.execute(f"SELECT * FROM {name} ORDER BY 1".encode()).fetchall()
                for name in tables
            }
        return {"relations": found, **held}

    def rows(self, table: str) -> list[dict[str, Any]]:
        kept = layout(table)
        if kept.place not in [name for name, _ in self.everything()["relations"]]:
            return []
        columns = ", ".join(f'"{name}"' for name in sa.schema(table).names)
        order = ", ".join(f'"{name}"' for name in kept.key)
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            query = f"SELECT {columns} FROM {kept.place} ORDER BY {order}"
            return connection.execute(query.encode()).fetchall()


class TestPostgresBackfill(TestPostgresSink):
    """The PostgreSQL sink, loading partitions bare."""

    mode = "backfill"
