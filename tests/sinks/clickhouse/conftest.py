"""Fixtures of the tests of the ClickHouse sink."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex

import pytest

from fakes.clickhouse import ClickHouse
from sinks.clickhouse.made import Reader
from sinks.clickhouse.test_faults import Database


@pytest.fixture(scope="session")
def reader(clickhouse: ClickHouse) -> Reader:
    """A client that is not ours."""
    return Reader(clickhouse)


@pytest.fixture
def database(clickhouse: ClickHouse, reader: Reader, ledgers: tuple[bytes, ...]) -> Iterator[Database]:
    """A database of a test's own, not made yet."""
    made = Database(clickhouse.address, reader, ledgers, f"test_{token_hex(4)}")
    yield made
    reader.do(f"DROP DATABASE IF EXISTS {made.name}")
