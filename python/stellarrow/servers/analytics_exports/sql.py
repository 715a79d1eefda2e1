"""Queries whose answers are exported: in the sandbox, with more time and rows than a caller waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.refusals import blaming
from stellarrow.servers.analytics_http.query import Sandboxed, read_sql, sandboxed
from stellarrow.sql.bounds import OutOfBounds
from stellarrow.sql.sandbox import Sandbox, SandboxAnswer, SandboxLimits, SandboxTable

_CHECKED: Final = SandboxLimits(seconds=5.0, memory_mb=256, rows=1, size_bytes=16 << 20)
LIMITS: Final = SandboxLimits(seconds=120.0, memory_mb=1_024, rows=10_000_000, size_bytes=4 << 30)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query reads, and its rows as they are computed."""

    read: Sandboxed
    found: SandboxAnswer


class SqlAnswers:
    """Answers queries over tables, each in a process of its own."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._sandbox = Sandbox({}, LIMITS, ready=0)

    @contextmanager
    def begun(self, query: Mapping[str, Any]) -> Iterator[Answer]:
        """Yield an answer; ConfigError where the query is refused, at once or while its rows are read."""
        text, params = read_sql(query)
        read = sandboxed(self._tables)
        with self._sandbox.answer(text, params, LIMITS, tables=read.tables, naming=read.name) as found:
            yield Answer(read, found)

    def check(self, query: Mapping[str, Any]) -> None:
        """Refuse a query that cannot be answered whatever the rows are: it is asked of tables without any."""
        text, params = read_sql(query)
        tables = {name: _without_rows(one) for name, one in sandboxed(self._tables).tables.items()}
        answer = self._sandbox.answer
        # What takes long may be answered in the background.
        with blaming("sql"), suppress(OutOfBounds), answer(text, params, _CHECKED, tables=tables) as found:
            deque(found, maxlen=0)

    def close(self) -> None:
        self._sandbox.close()


def _without_rows(table: SandboxTable) -> SandboxTable:
    return SandboxTable(table.schema, lambda: iter(()))
