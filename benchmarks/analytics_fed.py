"""The analytics service as a process of its own, over a folder of tables, or fed with ledgers at a pace.

python analytics_fed.py FOLDER, or ROWS of each ledger. It says where it listens. Then it takes lines:
"feed N COUNT", hand in so many ledgers, N a second, and say when each was; "used", say the CPU seconds and
kilobytes of memory that it took. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa

import stellarrow as sa
from stellarrow.analysis.reads.order import in_order
from stellarrow.config import Analytics, read
from stellarrow.core.synthetic import synthetic
from stellarrow.services.analytics import AnalyticsService

TABLE = "token_transfers"
FIRST = 1_000_000
KINDS = 16  # of ledgers, which come again and again under other numbers


@dataclass(frozen=True, slots=True)
class Came:
    """One ledger's rows."""

    first: int
    last: int
    rows: pa.RecordBatch
    resume: str
    complete: bool = True


class Pace:
    """A processor's stream of one table, which comes as it is fed."""

    name = "the benchmark"

    def __init__(self, rows: int) -> None:
        self._kinds = made(rows)
        self._changed = threading.Condition()
        self._due: list[int] = []
        self._next = FIRST
        self._is_closed = False

    def read(self, since: str) -> Iterator[Came]:
        ledger = FIRST - 1 if since == "earliest" else int(since)
        while True:
            with self._changed:
                while not self._is_closed and self._next <= ledger + 1:
                    self._changed.wait()
                if self._is_closed:
                    return
            ledger += 1
            yield Came(ledger, ledger, self._rows(ledger), str(ledger))

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def feed(self, a_second: float, count: int) -> dict[int, float]:
        """Hand ledgers in; return when each was."""
        given: dict[int, float] = {}
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / a_second - time.monotonic()))
            with self._changed:
                given[self._next] = time.monotonic()
                self._next += 1
                self._changed.notify_all()
        return given

    def _rows(self, ledger: int) -> pa.RecordBatch:
        rows = self._kinds[ledger % len(self._kinds)]
        at = rows.schema.get_field_index("ledger_sequence")
        numbers = pa.array([ledger] * rows.num_rows, pa.uint32())
        return rows.set_column(at, rows.schema.field(at), numbers)


def made(rows: int) -> list[pa.RecordBatch]:
    """Return so many rows each of some synthetic ledgers, none larger than usual."""
    found = []
    for ledger in islice(synthetic(5, first=FIRST, ledger_bytes=20_000), KINDS):
        data = (0x80000000 | len(ledger)).to_bytes(4, "big") + ledger
        found.append(in_order(sa.decode(data, [TABLE], network="synthetic")[TABLE].slice(0, rows), TABLE))
    return found


def memory_kb() -> int:
    """Return the memory of this process that is not files mapped from disk."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def service_of(state: str, given: str) -> tuple[AnalyticsService, Pace | None]:
    """Return a service that any number of clients may use, and what feeds it."""
    ports = dict.fromkeys(("rest_port", "websocket_port", "flight_address", "health_port"), "127.0.0.1:0")
    most = dict.fromkeys(("max_connections", "max_connections_per_ip"), "20000")
    asked = {**ports, **most, "tables": TABLE, "state_dir": state, "hot_mb": "16"}
    if not given.isdecimal():
        return AnalyticsService(read(Analytics, {**asked, "data": given}, environ={})), None
    pace = Pace(int(given))
    settings = read(Analytics, asked, environ={})
    return AnalyticsService(settings, streams={TABLE: pace}, network=sa.Network.of("synthetic")), pace


def main() -> None:
    with tempfile.TemporaryDirectory() as state:
        service, pace = service_of(state, sys.argv[1])
        with closing(service):
            service.start()
            print(service.websocket.address, service.rest.address, flush=True)
            for line in sys.stdin:
                match line.split():
                    case ["feed", a_second, count] if pace:
                        print(json.dumps(pace.feed(float(a_second), int(count))), flush=True)
                    case ["used"]:
                        print(json.dumps([time.process_time(), memory_kb()]), flush=True)
            service.drain()


if __name__ == "__main__":
    main()
