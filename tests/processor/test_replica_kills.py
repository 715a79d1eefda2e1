"""Replicas in processes of their own, killed under load: clients go on at another with each row once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
from pyarrow import ArrowException, flight

import stellarrow as sa
from fakes.postgres import web_url
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.net.address import Address

from .serving import Serving

FIRST: Final = 100
LAST: Final = 219
TABLES: Final = ("contract_events", "token_transfers")
_PATIENCE: Final = 120.0  # seconds in which a client must get on, on the slowest machine


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    return list(islice(synthetic(61, first=FIRST, ledger_bytes=20_000), LAST - FIRST + 1))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, made: list[bytes]) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    write_lake(folder, iter(made), first=FIRST, network=sa.Network.of("synthetic"))
    return folder


@pytest.fixture(scope="module")
def golden(made: list[bytes]) -> dict[str, list[dict[str, Any]]]:
    data = frame(made, "record-marked")
    return {
        name: rows.to_pylist() for name, rows in sa.decode(data, list(TABLES), network="synthetic").items()
    }


@dataclass
class Client:
    """Reads a table again and again, at whichever replica answers, always from its last token."""

    addresses: Sequence[Address]
    table: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    away: list[float] = field(default_factory=list)  # seconds without an answer, each time
    origin: str = "earliest"
    moved: int = 0

    def read(self) -> None:
        """Read the table once, to its end."""
        self.rows, self.origin = [], "earliest"
        last_answer = time.monotonic()
        while time.monotonic() - last_answer < _PATIENCE:
            for address in self.addresses:
                if self._read_from(address):
                    return
                last_answer = max(last_answer, self._answered)
            time.sleep(0.05)
        raise AssertionError(f"{len(self.rows)} rows of {self.table}, and no more in {_PATIENCE} s")

    _answered: float = 0.0

    def _read_from(self, address: Address) -> bool:
        """Take what one replica sends; True once that is all."""
        ticket = json.dumps({"table": self.table, "from": self.origin}).encode()
        began = self._answered or time.monotonic()
        has_moved = False
        with closing(flight.connect(f"grpc://{address}")) as client:
            try:
                options = flight.FlightCallOptions(timeout=_PATIENCE)
                for chunk in client.do_get(flight.Ticket(ticket), options):
                    self._answered = time.monotonic()
                    if not has_moved:
                        has_moved = True
                        self.moved += 1
                        self.away.append(self._answered - began)
                    told = json.loads(chunk.app_metadata.to_pybytes())
                    self.rows += chunk.data.to_pylist()
                    self.origin = told["resume"]
                    if told["last_ledger"] == LAST and told["complete"]:
                        return True
            except (ArrowException, flight.FlightError):
                return False
        return False


@dataclass
class Killing:
    """Two replicas of which one after the other is killed and started again, while clients read."""

    replicas: Sequence[Serving]
    golden: dict[str, list[dict[str, Any]]]
    kills: int
    ended: threading.Event = field(default_factory=threading.Event)

    def clients(self) -> list[Client]:
        addresses = [one.flight for one in self.replicas]
        made = [Client(order, table) for table in TABLES for order in (addresses, addresses[::-1])]
        with ThreadPoolExecutor(len(made) + 1) as threads:
            reading = [threads.submit(self._read, client) for client in made]
            killing = threads.submit(self._kill, made)
            for done in reading:
                done.result()
            killing.result()
        return made

    def _read(self, client: Client) -> None:
        try:
            while True:
                is_last = self.ended.is_set()
                client.read()
                assert client.rows == self.golden[client.table]
                if is_last:
                    return
        except BaseException:
            self.ended.set()
            raise

    def _kill(self, clients: Sequence[Client]) -> None:
        try:
            for number in range(self.kills):
                if self.ended.is_set():
                    return
                moved = sum(one.moved for one in clients)
                one = self.replicas[number % 2]
                one.kill()
                self._until_moved(clients, moved)
                one.start()
        finally:
            self.ended.set()

    def _until_moved(self, clients: Sequence[Client], moved: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while sum(one.moved for one in clients) == moved and not self.ended.is_set():
            assert time.monotonic() < deadline, "no client moved"
            time.sleep(0.01)


@pytest.fixture
def replicas(lake: Path, tmp_path: Path) -> Iterator[Callable[[str], list[Serving]]]:
    with ExitStack() as stack:

        def start(shared: str) -> list[Serving]:
            flags = [f"--shared-state={shared}", f"--start-ledger={FIRST}", f"--end-ledger={LAST}"]
            flags += ["--batch-size=20"]
            return [
                stack.enter_context(closing(Serving(lake, tmp_path / name, *flags)))
                for name in ("first", "second")
            ]

        yield start


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("folder", 2),
        pytest.param("folder", 100, marks=pytest.mark.slow),
        pytest.param("postgres", 20, marks=pytest.mark.slow),
        pytest.param("s3", 20, marks=pytest.mark.slow),
    ],
)
def test_clients_of_replicas_that_are_killed_go_on_at_another_with_each_row_once(
    replicas: Callable[[str], list[Serving]],
    golden: dict[str, list[dict[str, Any]]],
    request: pytest.FixtureRequest,
    kind: str,
    kills: int,
) -> None:
    if kind == "postgres":
        shared = web_url(request.getfixturevalue("database"))
    elif kind == "s3":
        shared = f"s3://{request.getfixturevalue('exact_bucket').name}/shared"
    else:
        shared = str(request.getfixturevalue("tmp_path") / "shared")
    clients = Killing(replicas(shared), golden, kills).clients()
    away = sorted(seconds for client in clients for seconds in client.away)
    print(f"{kills} kills, {len(away)} reads begun, at most {away[-1]:.2f} s without an answer")
    assert len(away) > kills
