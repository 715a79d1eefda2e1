from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import stellarrow as sa
from sinks.lasting import LastingContract, Work, count_methods
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.ddl import layout
from stellarrow.sinks.postgres.writer import Writer


class TestPostgresSink(LastingContract):
    """The PostgreSQL sink, live."""

    mode = "live"
    period = 16  # ledgers of a partition

    @pytest.fixture(autouse=True)
    def _database(self, database: str) -> Iterator[None]:
        self.database = database
        with ExitStack() as self.opened:
            yield

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> PostgresSink:
        chosen = {"network": "synthetic", "mode": self.mode, "partition_ledgers": 16, **choices}
        return self.opened.enter_context(
            closing(PostgresSink(self.database, tables or self.tables, **chosen))
        )

    def landing(self) -> tuple[Any, str]:
        return Writer, "store"

    def tend(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("VACUUM (FULL, ANALYZE)")
            connection.execute("REINDEX SCHEMA stellar")

    def count_work(self, work: Work) -> None:
        sizes = {"execute": lambda _, query, *given, **named: len(str(query)) + len(str(given))}  # noqa: ARG005
        count_methods(self.patches, work, psycopg.Connection, sizes)
        count_methods(self.patches, work, psycopg.Copy, {"write": lambda _, data: len(data)})

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        """Write it, and take away what a later migration adds."""
        sink = self.open(**choices)
        sink.write(batch)
        sink.commit()
        sink.close()
        with psycopg.connect(self.database) as connection:
            connection.execute("DELETE FROM stellar.migrations WHERE version >= 6")
            connection.execute("DROP TABLE stellar.written_rows")
            connection.execute("DROP FUNCTION stellar.forget_ledgers")
            for table in batch.tables:
                connection.execute(f"ALTER TABLE stellar.{table} DROP COLUMN {column}".encode())

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

    def rows_decoded(self, table: str) -> list[dict[str, Any]]:
        return self.rows(table, decoded=True)

    def rows(self, table: str, *, decoded: bool = False) -> list[dict[str, Any]]:
        kept = layout(table)
        if kept.place not in [name for name, _ in self.everything()["relations"]]:
            return []
        columns = ", ".join(f'"{name}"' for name in sa.schema(table, decoded=decoded).names)
        order = ", ".join(f'"{name}"' for name in kept.key)
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            query = f"SELECT {columns} FROM {kept.place} ORDER BY {order}"
            return connection.execute(query.encode()).fetchall()


class TestPostgresBackfill(TestPostgresSink):
    """The PostgreSQL sink, loading partitions bare."""

    mode = "backfill"
