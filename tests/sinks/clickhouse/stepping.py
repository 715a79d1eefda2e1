"""A server that is told before each statement that leaves a trace that one is due."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from stellarrow.sinks.clickhouse.address import Address
from stellarrow.sinks.clickhouse.server import Server


def stepping_server(url: str, step: Callable[[], None], *, by_rows: bool = False) -> Server:
    """Return a server that calls `step` before everything that it writes, or before INSERTs alone."""

    class SteppingServer(Server):
        def do(self, statement: str) -> None:
            if not by_rows:
                step()
            super().do(statement)

        def insert(self, into: str, rows: pa.Table) -> None:
            step()
            super().insert(into, rows)

    return SteppingServer(Address.parse(url))
