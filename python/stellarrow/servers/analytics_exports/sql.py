"""Queries whose answers are exported: in the sandbox, with more time and rows than a caller waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.analysis.reads.reading import Tables
from stellarrow.servers.analytics_http.query import read_sql, sandboxed
from stellarrow.sql.sandbox import Sandbox, SandboxAnswer, SandboxLimits

LIMITS: Final = SandboxLimits(seconds=120.0, memory_mb=1_024, rows=10_000_000, size_bytes=4 << 30)


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query as they are computed, and as of which ledger."""

    as_of: int
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
        as_of, tables = sandboxed(self._tables)
        with self._sandbox.answer(text, params, LIMITS, tables=tables) as found:
            yield Answer(as_of, found)

    def close(self) -> None:
        self._sandbox.close()
