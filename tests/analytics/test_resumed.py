"""Subscriptions resumed at random moments, also where the service was killed: each row exactly once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from websockets.exceptions import WebSocketException

import stellarrow as sa
from analytics.sockets import connect
from fakes.process import free_port
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic

FIRST, LAST = 100, 139
SECONDS = 120.0
QUIET = httpx.Timeout(30.0, read=2.0)  # seconds without anything new, after which a listener leaves
SERVING = "import sys; from stellarrow.cli import main; main()"
Row = tuple[int, int]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty ledgers in a file."""
    path = tmp_path_factory.mktemp("lake") / "ledgers.xdr"
    ledgers = [*islice(synthetic(5, first=FIRST, ledger_bytes=6_000), LAST - FIRST + 1)]
    path.write_bytes(frame(ledgers, "record-marked"))
    return path


class Service:
    """The service as a process over stored tables that grow, and that may be killed."""

    def __init__(self, lake: Path, folder: Path) -> None:
        self._lake = lake
        self._data = folder / "data"
        self.port = free_port()
        self._flags = [f"--data={self._data}", f"--rest-port=127.0.0.1:{self.port}"]
        self._flags += [f"--state-dir={folder / 'state'}", "--max-connections-per-ip=1000"]
        self._flags += ["--websocket-port=127.0.0.1:0", "--health-port=127.0.0.1:0"]
        self._flags += ["--flight-address=127.0.0.1:0"]
        self._process: subprocess.Popen[bytes] | None = None
        self.reached = FIRST - 1

    def grow(self, ledger: int) -> None:
        if ledger > self.reached:
            place = f"parquet:{self._data}?ledgers=4"
            tables = ("ledgers", "token_transfers")
            asked = f"{FIRST}:{ledger}"
            sa.run(str(self._lake), tables=tables, sinks=place, network="synthetic", ledgers=asked)
            self.reached = ledger

    def start(self) -> None:
        words = [sys.executable, "-c", SERVING, "analytics", "serve", *self._flags]
        self._process = subprocess.Popen(words)
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/v1/status", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    close = kill

    def rows(self) -> list[Row]:
        table = pq.read_table(self._data / "token_transfers", columns=["ledger_sequence", "event_index"])
        return sorted(zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True))


Took = tuple[list[Row], str]
Listen = Callable[[Service, str], Iterator[Took]]


def events(service: Service, since: str) -> Iterator[Took]:
    """Yield rows of each event that came whole, and where to go on behind it."""
    url = f"http://127.0.0.1:{service.port}/v1/stream/token_transfers?from=earliest"
    headers = {"last-event-id": since} if since else {}
    told: dict[str, str] = {}
    with httpx.stream("GET", url, headers=headers, timeout=QUIET) as answer:
        assert answer.status_code == 200, answer.read()
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                told[name] = value
            elif "data" in told:
                yield places(json.loads(told["data"]).get("rows", [])), told["id"]
                told = {}


def messages(service: Service, since: str) -> Iterator[Took]:
    """Yield rows of each message, and where to go on behind it."""
    url = f"ws://127.0.0.1:{service.port}/v1/ws"
    with connect(url, subprotocols=["stellarrow.v1"], compression=None, max_size=None) as socket:
        asked = {"id": "t", "channel": "token_transfers", "from": since or "earliest"}
        socket.send(json.dumps({"op": "subscribe", **asked}))
        while True:
            told = json.loads(socket.recv(timeout=QUIET.read))
            assert told["op"] in ("ready", "subscribed", "data", "closing"), told
            assert told.get("recovered", True)
            if told["op"] == "data":
                yield places(told["rows"]), told["resume"]


def places(rows: list[dict[str, Any]]) -> list[Row]:
    return [(row["ledger_sequence"], row["event_index"]) for row in rows]


LISTEN: dict[str, Listen] = {"events": events, "messages": messages}


class Listener:
    """One who leaves again and again, and goes on where it was."""

    def __init__(self, service: Service, listen: Listen) -> None:
        self._service, self._listen = service, listen
        self._found: list[Row] = []
        self._since = ""

    def take(self, most: int | None) -> None:
        """Take so many messages, or what comes until nothing does, or nobody answers."""
        with (
            suppress(httpx.TransportError, WebSocketException, OSError, TimeoutError),
            closing(self._listen(self._service, self._since)) as taken,  # type: ignore[type-var]
        ):
            for rows, token in islice(taken, most):
                self._found, self._since = self._found + rows, token

    def begin_anew_where_all_is_seen(self) -> None:
        if self._service.reached == LAST and len(self._found) >= len(self._service.rows()):
            self.check()
            self._found, self._since = [], ""

    def take_the_rest(self) -> None:
        deadline = time.monotonic() + SECONDS
        while (before := len(self._found)) < len(self._service.rows()):
            assert time.monotonic() < deadline
            self.take(None)
            if len(self._found) > before:
                deadline = time.monotonic() + SECONDS

    def check(self) -> None:
        assert self._found == self._service.rows(), "each row once, in order"


def resume_at_random(
    service: Service, listen: Listen, chance: random.Random, moments: int, kills: int
) -> None:
    """Leave at so many moments, and begin anew where all was seen; some of them are kills of the service."""
    due = set(chance.sample(range(moments), kills))
    listener = Listener(service, listen)
    for moment in range(moments):
        service.grow(min(LAST, service.reached + chance.randrange(4)))
        most = chance.randrange(1, 6)
        if moment in due:
            killing = threading.Timer(chance.random() / 5, service.kill)
            killing.start()
            listener.take(None)
            killing.join()
            service.start()
        else:
            listener.take(most)
        listener.begin_anew_where_all_is_seen()
    listener.take_the_rest()
    listener.check()


@pytest.mark.parametrize("how", ["messages", pytest.param("events", marks=pytest.mark.slow)])
def test_who_listens_to_a_service_that_was_killed_has_each_row_once(
    lake: Path, tmp_path: Path, how: str
) -> None:
    with closing(Service(lake, tmp_path)) as service:
        service.grow(FIRST + 3)
        service.start()
        resume_at_random(service, LISTEN[how], random.Random(1), 8, 1)  # noqa: S311  a test


@pytest.mark.slow
@pytest.mark.parametrize("how", LISTEN)
def test_a_thousand_resumptions_and_twenty_kills_leave_each_row_once(
    lake: Path, tmp_path: Path, how: str
) -> None:
    with closing(Service(lake, tmp_path)) as service:
        service.grow(FIRST + 3)
        service.start()
        resume_at_random(service, LISTEN[how], random.Random(2), 1_000, 20)  # noqa: S311  a test
