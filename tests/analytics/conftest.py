"""The analytics service in this process, over tables that were extracted or ledgers that come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.analysis.reads.order import in_order
from stellarrow.config import Analytics, read
from stellarrow.core.synthetic import synthetic
from stellarrow.services.analytics import AnalyticsService

SECONDS = 30.0
PORTS = dict.fromkeys(("rest_port", "websocket_port", "flight_address", "health_port"), ":0")
NAMES = ("ledgers", "token_transfers", "contract_events", "contract_data", "transactions")


class Served:
    """A running service and a client of its REST."""

    def __init__(self, service: AnalyticsService) -> None:
        self.service = service
        self.url = f"http://{service.rest.address}"
        self.client = httpx.Client(
            base_url=self.url, timeout=SECONDS, headers={"accept-encoding": "identity"}
        )

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.client.get(path, params=parameters or None)

    def rows(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return every row, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.get(path, **parameters)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["rows"]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    def wait_for(self, ledger: int) -> None:
        deadline = time.monotonic() + SECONDS
        while min(self.service.tables.snapshot(name).as_of for name in self.service.tables.names) < ledger:
            assert time.monotonic() < deadline, self.get("/v1/status").text
            self.service.look()
            time.sleep(0.01)

    def close(self) -> None:
        self.client.close()
        self.service.drain()
        self.service.close()


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of `served`."""
    return tmp_path_factory.mktemp("served") / "state"


@pytest.fixture(scope="module")
def served(real_data: Path, state: Path) -> Iterator[Served]:
    """One service over stored tables, for tests that leave it as it was."""
    given = {**PORTS, "data": str(real_data), "state_dir": str(state)}
    service = AnalyticsService(read(Analytics, given, environ={}))
    with closing(Served(service)) as made:
        service.start()
        yield made


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the service as its settings say."""
    with ExitStack() as stack:

        def make(**flags: Any) -> Served:
            common = {
                **PORTS,
                "state_dir": str(tmp_path / "state"),
            }
            settings = read(
                Analytics, {**common, **{name: str(value) for name, value in flags.items()}}, environ={}
            )
            service = AnalyticsService(settings)
            served = stack.enter_context(closing(Served(service)))
            service.start()
            return served

        yield make


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real ledgers, extracted."""
    folder = tmp_path_factory.mktemp("real") / "data"
    source = Path(sa.__file__).parent / "data" / "ledgers"
    sa.run(str(source), tables=NAMES, sinks=f"parquet:{folder}", network="pubnet")
    return folder


@pytest.fixture
def oracle(real_data: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask DuckDB about the stored tables."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for name in NAMES:
        connection.execute(
            f"create view {name} as select * from read_parquet('{real_data}/{name}/*.parquet')"
        )
    return lambda query: connection.execute(query).fetchall()


class Given:
    """A processor's streams of its tables, which come as far as the test lets them."""

    def __init__(self, rows: dict[str, dict[int, pa.RecordBatch]]) -> None:
        self.rows = rows
        self._changed = threading.Condition()
        self._last = 0

    def streams(self) -> dict[str, _OneTable]:
        return {name: _OneTable(self, name) for name in self.rows}

    def give(self, last: int) -> None:
        """Let ledgers come, up to this one."""
        with self._changed:
            self._last = last
            self._changed.notify_all()

    def after(self, ledger: int, stopped: Callable[[], bool]) -> int | None:
        """Return the next ledger of those there are, once it may come."""
        held = next(iter(self.rows.values()))
        following = next((one for one in held if one > ledger), None)
        with self._changed:
            while following is not None and following > self._last:
                if stopped():
                    return None
                self._changed.wait(0.02)
        return following


@dataclass(frozen=True)
class _Came:
    first: int
    last: int
    rows: pa.RecordBatch
    resume: str
    complete: bool = True
    traces: tuple[str, ...] = ()


class _OneTable:
    def __init__(self, given: Given, name: str) -> None:
        self.name = f"given {name}"
        self._given = given
        self._table = name
        self._is_closed = False

    def read(self, since: str) -> Iterator[_Came]:
        ledger = 0 if since == "earliest" else int(since)
        while (following := self._given.after(ledger, lambda: self._is_closed)) is not None:
            ledger = following
            yield _Came(ledger, ledger, self._given.rows[self._table][ledger], str(ledger))

    def close(self) -> None:
        self._is_closed = True


LIVE = ("ledgers", "token_transfers")
FIRST, COUNT = 100, 60


@pytest.fixture(scope="session")
def live_rows() -> dict[str, dict[int, pa.RecordBatch]]:
    """The rows of sixty synthetic ledgers, by table and ledger."""
    found: dict[str, dict[int, pa.RecordBatch]] = {name: {} for name in LIVE}
    for number, ledger in enumerate(islice(synthetic(5, first=FIRST, ledger_bytes=6_000), COUNT)):
        data = (0x80000000 | len(ledger)).to_bytes(4, "big") + ledger
        made = sa.decode(data, LIVE, network="synthetic")
        for name in LIVE:
            found[name][FIRST + number] = in_order(made[name], name)
    return found


@pytest.fixture
def serve_given(
    tmp_path: Path, live_rows: dict[str, dict[int, pa.RecordBatch]]
) -> Iterator[Callable[..., tuple[Served, Given]]]:
    """Start the service over streams that the test moves on."""
    with ExitStack() as stack:

        def make(given: Given | None = None, **flags: Any) -> tuple[Served, Given]:
            chain = given or Given(live_rows)
            common = {
                **PORTS,
                "state_dir": str(tmp_path / "state"),
            }
            named = {"tables": ",".join(LIVE), **{name: str(value) for name, value in flags.items()}}
            settings = read(Analytics, {**common, **named}, environ={})
            service = AnalyticsService(settings, streams=chain.streams(), network=sa.Network.of("synthetic"))
            served = stack.enter_context(closing(Served(service)))
            service.start()
            return served, chain

        yield make
