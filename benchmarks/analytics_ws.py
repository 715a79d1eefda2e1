"""The WebSocket of the analytics service beside Centrifugo, in the same run, on loopback.

python benchmarks/analytics_ws.py [--seconds 10] [--only NAME]. Deliveries a CPU second are messages that
came, by the CPU of the server's process alone, all that it does for a ledger counted: taking it, keeping it,
encoding it. Clients are one other process. "sends alone" is a process that does nothing but send as many
bytes to as many sockets: what the system leaves to reach. Where ledgers come faster than every 25 ms, or than
the machine lets them be sent, a message has several: ledgers a CPU second counts each, for each client. None
may be lost. Centrifugo is built where there is Go, in minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builds import BUILD, compiled
from machine import describe

HERE = Path(__file__).resolve().parent
CENTRIFUGO = "github.com/centrifugal/centrifugo/v6@v6.9.1"
ROUNDS = 3
# Connects as often as it is told, and reads what comes.
SINK = """
import select, socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
poll = select.epoll()
by_file = {one.fileno(): one for one in clients}
for one in by_file:
    poll.register(one, select.EPOLLIN)
while True:
    for file, _ in poll.poll():
        by_file[file].recv(262_144)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """So many clients, messages a second of so many bytes, and what is to be reached."""

    name: str
    clients: int
    stuck: int
    a_second: int
    rows: int
    columns: tuple[str, ...]
    bytes: int
    goal: int


SHORT = ("ledger_sequence", "transaction_hash", "event_type", "from", "to", "amount_text")
CASES = (
    Case("1,000 x 2 KB", 1_000, 10, 20, 3, (), 2_048, 80_000),
    Case("200 x 512 B", 200, 0, 100, 1, SHORT, 512, 150_000),
)


class Server(Protocol):
    """A server under load."""

    name: str

    def asked(self, case: Case) -> dict[str, Any]:
        """Return what clients do."""

    def feed(self, case: Case, count: int) -> Mapping[str, float]:
        """Send so many messages; return when each was sent, by number."""

    def used(self) -> tuple[float, int]:
        """Return CPU seconds and kilobytes of memory."""


class Ours:
    """The analytics service."""

    name = "stellarrow"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._port = int(self._line().split()[0].rpartition(":")[2])

    def asked(self, case: Case) -> dict[str, Any]:
        told = {"op": "subscribe", "id": "t", "channel": "token_transfers", "columns": case.columns}
        return {
            "port": self._port,
            "path": "/v1/ws",
            "protocol": "stellarrow.v1",
            "hello": [json.dumps(told)],
            "told": '"op":"subscribed"',
            "first": '"first_ledger":',
            "last": '"last_ledger":',
        }

    def feed(self, case: Case, count: int) -> Mapping[str, float]:
        return dict(self._say(f"feed {case.a_second} {count}"))

    def used(self) -> tuple[float, int]:
        cpu, memory = self._say("used")
        return cpu, memory

    def _say(self, line: str) -> Any:
        print(line, file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def _line(self) -> str:
        return self._process.stdout.readline() if self._process.stdout else ""


class Centrifugo:
    """Centrifugo as it comes, its own JSON protocol; anybody may subscribe."""

    name = "Centrifugo"

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self._port = port
        self._sent = 0

    def asked(self, case: Case) -> dict[str, Any]:  # noqa: ARG002  the same of each
        return {
            "port": self._port,
            "path": "/connection/websocket",
            "protocol": "",
            "hello": ['{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"t"}}'],
            "told": '"subscribe":',
            "first": '"number":',
            "last": '"number":',
        }

    def feed(self, case: Case, count: int) -> Mapping[str, float]:
        given = {}
        filling = "x" * (case.bytes - 80)
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / case.a_second - time.monotonic()))
            self._sent += 1
            given[str(self._sent)] = time.monotonic()
            data = {"channel": "t", "data": {"number": self._sent, "filling": filling}}
            asked = urllib.request.Request(
                f"http://127.0.0.1:{self._port}/api/publish",
                json.dumps(data).encode(),
                {"X-API-Key": "bench", "Content-Type": "application/json"},
            )
            urllib.request.urlopen(asked, timeout=10).close()  # noqa: S310  on loopback
        return given

    def used(self) -> tuple[float, int]:
        folder = Path("/proc", str(self._process.pid))
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        lines = (folder / "status").read_text().splitlines()
        return cpu, next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@contextmanager
def ours(case: Case) -> Iterator[Server]:
    argv = [sys.executable, str(HERE / "analytics_fed.py"), str(case.rows)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Ours(process)
        if process.stdin:
            process.stdin.close()


@contextmanager
def centrifugo(program: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "http_server": {"address": "127.0.0.1", "port": port},
        "http_api": {"key": "bench"},
        "client": {"insecure": True, "allowed_origins": ["*"], "connection_limit": 0},
        "channel": {"without_namespace": {"allow_subscribe_for_client": True}},
        "log": {"level": "error"},
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(told))
        with subprocess.Popen([program, "-c", str(config)], text=True) as process:
            try:
                until_open(port)
                yield Centrifugo(process, port)
            finally:
                process.terminate()


def until_open(port: int) -> None:
    for _ in range(200):
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("Centrifugo did not start")


def sends_alone(case: Case, seconds: float) -> float:
    """Return sends a CPU second of a process that does nothing else: what the system leaves to reach."""
    count = int(seconds * case.a_second)
    with socket.create_server(("127.0.0.1", 0), backlog=2_000) as listener, ExitStack() as open_ones:
        argv = [sys.executable, "-c", SINK, str(listener.getsockname()[1]), str(case.clients)]
        reader = open_ones.enter_context(subprocess.Popen(argv))
        clients = [open_ones.enter_context(listener.accept()[0]) for _ in range(case.clients)]
        for one in clients:
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b"x" * case.bytes
        used, began = 0.0, time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / case.a_second - time.monotonic()))
            before = time.process_time()
            for one in clients:
                one.send(data)
            used += time.process_time() - before
        reader.terminate()
    return count * case.clients / used


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one server."""

    a_cpu_second: float
    ledgers: float  # a CPU second
    kb: float
    told: Mapping[str, Any]


def measured(server: Server, case: Case, seconds: float) -> Measured:
    before, base = server.used()
    asked = {"host": "127.0.0.1", "clients": case.clients, "stuck": case.stuck, **server.asked(case)}
    argv = [sys.executable, str(HERE / "websocket_crowd.py"), json.dumps(asked)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        if not (crowd.stdin and crowd.stdout and crowd.stdout.readline()):
            raise SystemExit("the clients did not start")
        time.sleep(1)
        kb = (server.used()[1] - base) / (case.clients + case.stuck)
        before, _ = server.used()
        sent = server.feed(case, int(seconds * case.a_second))
        time.sleep(0.5)
        cpu = server.used()[0] - before
        print("enough", file=crowd.stdin, flush=True)
        print(json.dumps(sent), file=crowd.stdin, flush=True)
        told = json.loads(crowd.stdout.readline())
    return Measured(told["deliveries"] / cpu, told["ledgers"] / cpu, kb, told)


def peer() -> str:
    """Return the program, or nothing where it cannot be built."""
    BUILD.mkdir(exist_ok=True)
    program = BUILD / "centrifugo"
    if program.is_file():
        return str(program)
    os.environ["GOBIN"] = str(BUILD)
    built = compiled("Centrifugo", "go", ["install", CENTRIFUGO], HERE, program)
    if built.reason:
        print(f"Centrifugo: not measured, {built.reason}")
    return built.argv[0] if built.argv else ""


def row(name: str, case: Case, one: Measured) -> str:
    told = one.told
    goal = f"{case.goal:,}" if name == Ours.name else ""
    return (
        f"| {case.name} | {name} | {one.a_cpu_second:,.0f} | {one.ledgers:,.0f} | {goal} |"
        f" {told['bytes']:,.0f} | {told['p50_ms']:.1f} | {told['p99_ms']:.1f} |"
        f" {one.kb:.0f} | {told['lost']} |"
    )


def round_of(case: Case, program: str, seconds: float) -> bool:
    """Measure each server once; tell whether ours reached what it must."""
    with ours(case) as server:
        one = measured(server, case, seconds)
    print(row(server.name, case, one), flush=True)
    if program:
        with centrifugo(program) as other:
            print(row(other.name, case, measured(other, case, seconds)), flush=True)
    alone = sends_alone(case, seconds / 2)
    print(f"| {case.name} | sends alone | {alone:,.0f} | | | {case.bytes:,} | | | | |", flush=True)
    return one.a_cpu_second >= case.goal and not one.told["lost"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--alone", action="store_true", help="without Centrifugo")
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    program = "" if asked.alone else peer()
    print(
        "| case | server | deliveries a CPU second | ledgers a CPU second | goal | bytes | p50 ms | p99 ms |"
        " kB a client | lost |"
    )
    print("| --- | --- |" + " ---: |" * 8)
    missed = False
    for case in CASES:
        for _ in range(asked.rounds if asked.only in case.name else 0):
            missed |= not round_of(case, program, asked.seconds)
    print("\n" + ", ".join(f"{name} {value}" for name, value in describe().items()))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
