"""What was written is read back by the commands and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fakes.clickhouse import PASSWORD
from sinks.clickhouse.test_faults import Database
from sinks.read_back import ReadBack, write_parts
from sinks.typed_tables import TypedReadBack

Run = Callable[..., Any]


class TestClickHouse(ReadBack):
    @pytest.fixture
    def place(self, database: Database) -> str:
        return database.url()


class TestTypedTables(TypedReadBack):
    latest = datetime(2300, 1, 1, tzinfo=UTC)

    @pytest.fixture
    def place(self, database: Database) -> str:
        return database.url()


@pytest.fixture
def written(database: Database, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
    return write_parts(database.url(), stellarrow, make_lake())


def test_check_says_which_ledgers_have_other_rows_than_were_written(
    written: str, stellarrow: Run, database: Database
) -> None:
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
