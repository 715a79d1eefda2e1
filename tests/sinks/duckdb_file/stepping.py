"""A DuckDB file that is told before each statement that one is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stellarrow.sinks.duckdb_file.file import DuckDbFile


def stepping_file(url: str, step: Callable[[], None]) -> DuckDbFile:
    """Return a file that calls `step` before everything that it writes."""

    class SteppingFile(DuckDbFile):
        def do(self, statement: str, values: list[Any] | None = None) -> Any:
            step()
            return super().do(statement, values)

    return SteppingFile(DuckDbFile.parse(url).path)
