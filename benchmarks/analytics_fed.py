"""The analytics service as a process of its own, over a folder of tables, or fed with ledgers at a pace.

python analytics_fed.py FOLDER, or ROWS of each ledger, and maybe tables beside token_transfers. It says where
it listens. Then it takes lines: "feed N COUNT", hand in so many ledgers, N a second, and say when each was;
"used", say the CPU seconds and kilobytes of memory that it took, without the CPU of what feeds it. It ends
with its input.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
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
    traces: tuple[str, ...] = ()


class Pace:
    """A processor's streams, which come as they are fed."""

    def __init__(self, rows: int, tables: Sequence[str] = (TABLE,)) -> None:
        self.changed = threading.Condition()
        self.next = FIRST
        self.is_closed = False
        self.cpu = 0.0  # seconds that feeding took
        self.streams = {name: OneTable(self, kinds) for name, kinds in made(rows, tables).items()}

    def feed(self, a_second: float, count: int) -> dict[int, float]:
        """Hand ledgers in; return when each was."""
        given: dict[int, float] = {}
        began, own = time.monotonic(), time.thread_time()
        for number in range(count):
            time.sleep(max(0.0, began + number / a_second - time.monotonic()))
            with self.changed:
                given[self.next] = time.monotonic()
                self.next += 1
                self.changed.notify_all()
        self.cpu += time.thread_time() - own
        return given


class OneTable:
    """The stream of one table."""

    name = "the benchmark"

    def __init__(self, pace: Pace, kinds: Sequence[pa.RecordBatch]) -> None:
        self._pace = pace
        self._kinds = kinds

    def read(self, since: str) -> Iterator[Came]:
        ledger = FIRST - 1 if since == "earliest" else int(since)
        while True:
            with self._pace.changed:
                while not self._pace.is_closed and self._pace.next <= ledger + 1:
                    self._pace.changed.wait()
                if self._pace.is_closed:
                    return
            ledger += 1
            own = time.thread_time()
            rows = self.rows(ledger)
            self._pace.cpu += time.thread_time() - own
            yield Came(ledger, ledger, rows, str(ledger))

    def close(self) -> None:
        with self._pace.changed:
            self._pace.is_closed = True
            self._pace.changed.notify_all()

    def rows(self, ledger: int) -> pa.RecordBatch:
        """Return a ledger's rows, which closed just now."""
        rows = self._kinds[ledger % len(self._kinds)]
        now = datetime.now(UTC).replace(microsecond=0)
        for name, value in (("ledger_sequence", ledger), ("closed_at", now)):
            field = rows.schema.field(name)
            values = pa.array([value] * rows.num_rows, field.type)
            rows = rows.set_column(rows.schema.get_field_index(name), field, values)
        return rows


def made(rows: int, tables: Sequence[str]) -> dict[str, list[pa.RecordBatch]]:
    """Return so many rows each of some synthetic ledgers, none larger than usual."""
    found: dict[str, list[pa.RecordBatch]] = {name: [] for name in tables}
    for ledger in islice(synthetic(5, first=FIRST, ledger_bytes=20_000), KINDS):
        data = (0x80000000 | len(ledger)).to_bytes(4, "big") + ledger
        batches = sa.decode(data, tables, network="synthetic")
        for name in tables:
            found[name].append(in_order(batches[name].slice(0, rows), name))
    return found


def memory_kb() -> int:
    """Return the memory of this process that is not files mapped from disk."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def service_of(state: str, given: str, tables: Sequence[str] = ()) -> tuple[AnalyticsService, Pace | None]:
    """Return a service that any number of clients may use, and what feeds it."""
    ports = ("rest_port", "websocket_port", "flight_address", "health_port")
    most = dict.fromkeys(("max_connections", "max_connections_per_ip"), "20000")
    names = (TABLE, *tables)
    asked = {**dict.fromkeys(ports, "127.0.0.1:0"), **most, "tables": ",".join(names)}
    settings = {**asked, "state_dir": state}
    if not given.isdecimal():
        return AnalyticsService(read(Analytics, {**settings, "data": given}, environ={})), None
    pace = Pace(int(given), names)
    network = sa.Network.of("synthetic")
    return AnalyticsService(
        read(Analytics, {**settings, "hot_mb": "16"}, environ={}), streams=pace.streams, network=network
    ), pace


def main() -> None:
    with tempfile.TemporaryDirectory() as state:
        service, pace = service_of(state, sys.argv[1], sys.argv[2:])
        with closing(service):
            service.start()
            print(service.websocket.address, service.rest.address, flush=True)
            for line in sys.stdin:
                match line.split():
                    case ["feed", a_second, count] if pace:
                        print(json.dumps(pace.feed(float(a_second), int(count))), flush=True)
                    case ["used"]:
                        cpu = time.process_time() - (pace.cpu if pace else 0.0)
                        print(json.dumps([cpu, memory_kb()]), flush=True)
            service.drain()


if __name__ == "__main__":
    main()
