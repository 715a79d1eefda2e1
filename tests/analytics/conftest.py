"""The analytics service in this process, over tables that were extracted or ledgers that come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

import stellarrow as sa
from stellarrow.config import Analytics, read
from stellarrow.services.analytics import AnalyticsService

SECONDS = 30.0
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


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the service as its settings say."""
    with ExitStack() as stack:

        def make(**flags: Any) -> Served:
            common = {"rest_port": ":0", "health_port": ":0", "state_dir": str(tmp_path / "state")}
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
