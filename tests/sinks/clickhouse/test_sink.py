from __future__ import annotations

import subprocess

import pytest

from sinks.clickhouse.made import ClickHouseContract
from sinks.shared import SharedSinkContract
from sinks.typed_tables import TypedTablesContract


class TestClickHouseSink(ClickHouseContract, SharedSinkContract):
    """Killed and shared by writers."""

    longest = 2.0
    stride = 7  # each takes a second
    span = 13  # who comes second waits, and writes again

    def opening(self) -> str:
        return (
            "from sinks.clickhouse.stepping import stepping_server\n"
            "from stellarrow.sinks.clickhouse import ClickHouseSink\n"
            f"sink = ClickHouseSink(stepping_server({self.url!r}, step), {self.tables!r},"
            " network='synthetic')"
        )

    def tend(self) -> None:
        """Merge parts, as a server does when it has time."""
        for table in self.reader.tables(self.database):
            self.reader.do(f"OPTIMIZE TABLE {self.database}.{table} FINAL")

    @pytest.mark.parametrize("commit_each", [False])
    def test_killed_before_any_step_it_resumes(
        self, forks: subprocess.Popen[str], *, commit_each: bool
    ) -> None:
        super().test_killed_before_any_step_it_resumes(forks, commit_each=commit_each)


@pytest.mark.slow
class TestTypedTables(TypedTablesContract, TestClickHouseSink):
    """A contract's own tables in ClickHouse."""

    stride = 3

    @property
    def address(self) -> str:
        return self.url
