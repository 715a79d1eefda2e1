"""REST of the analytics service over stored rows: pages, whole tables as streams, first bytes; on loopback.

python benchmarks/analytics_rest.py [--rows 10000000] [--data FOLDER, to keep what is made]. The server is a
process of its own; its CPU tells more than the clock where others use the machine: a worker is one core, so
requests a CPU second are what it answers when it has one for itself.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from machine import describe
from transfers import ACCOUNTS, CONTRACTS, LEDGER_ROWS, TABLE, account, contract, generated

from stellarrow.sinks.parquet import ParquetSink

HERE = Path(__file__).resolve().parent
FIRST = 1_000_001
STREAMED = 1_000_000
FILE_LEDGERS = 1_000
CLIENTS = 16
QUIET = 0.05  # CPU seconds in half a second: figures of what is stored are counted
GOALS = {"pages": 3_000.0, "arrow": 300.0, "csv": 80.0}
FIRST_BYTE_GOAL_MS = 50.0


def stored(folder: Path, rows: int) -> int:
    """Keep rows as the Parquet sink does; return the last ledger."""
    last = FIRST + rows // LEDGER_ROWS - 1
    with closing(ParquetSink(folder, [TABLE], network="synthetic", ledgers_per_file=FILE_LEDGERS)) as sink:
        if sink.coverage():
            return last
        for batch in generated(rows, first=FIRST):
            sink.write(batch)
        sink.commit()
    return last


class Server:
    """The service, and what it used."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port = int(self._line().split()[1].rpartition(":")[2])

    def used(self) -> tuple[float, int]:
        """Return CPU seconds and kilobytes of memory."""
        print("used", file=self._process.stdin, flush=True)
        cpu, memory = json.loads(self._line())
        return cpu, memory

    def until_quiet(self) -> None:
        """Wait while the service counts figures of what is stored, which is no answer's work."""
        before, _ = self.used()
        while True:
            time.sleep(0.5)
            now, _ = self.used()
            if now - before < QUIET:
                return
            before = now

    def _line(self) -> str:
        return self._process.stdout.readline() if self._process.stdout else ""


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    argv = [sys.executable, str(HERE / "analytics_fed.py"), str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process)
        if process.stdin:
            process.stdin.close()


def pages(server: Server, last: int, seconds: float) -> bool:
    """Measure pages of a hundred rows, each of other ledgers, and one page again and again."""
    print("| 100 rows | requests a CPU second | a second | goal | bytes | p50 ms | p99 ms | p99 at half |")
    print("| --- |" + " ---: |" * 7)
    reached = True
    for name, until in (("each other ledgers", last), ("the same again", FIRST)):
        for _ in request(server, f"/v1/tables/{TABLE}/rows?limit=100&start={FIRST}"):
            pass  # the first of a file decodes it, for all that follow
        before, _ = server.used()
        told = asked(server, until, seconds)
        rate = told["requests"] / (server.used()[0] - before)
        half = asked(server, until, seconds, a_second=told["a_second"] / 2)
        reached &= rate >= GOALS["pages"]
        print(
            f"| {name} | {rate:,.0f} | {told['a_second']:,.0f} | {GOALS['pages']:,.0f} |"
            f" {told['bytes']:,.0f} | {told['p50_ms']:.1f} | {told['p99_ms']:.1f} | {half['p99_ms']:.1f} |",
            flush=True,
        )
    return reached


def asked(server: Server, last: int, seconds: float, a_second: float = 0.0) -> dict[str, Any]:
    given = {
        "port": server.port,
        "path": f"/v1/tables/{TABLE}/rows?limit=100&start=$",
        "first": FIRST,
        "last": last,
        "clients": CLIENTS,
        "seconds": seconds,
        "a_second": a_second,
    }
    argv = [sys.executable, str(HERE / "http_crowd.py"), json.dumps(given)]
    told: dict[str, Any] = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    return told


def request(server: Server, path: str) -> Iterator[bytes]:
    """Yield an answer as it comes."""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        while data := client.recv(1 << 20):
            yield data


def streams(server: Server) -> bool:
    """Measure a million rows as a stream, and the memory that it takes."""
    print("\n| 1 M rows as | MB a CPU second | MB a second | goal | MB | memory + MB |")
    print("| --- |" + " ---: |" * 5)
    reached = True
    last = FIRST + STREAMED // LEDGER_ROWS - 1
    for form in ("arrow", "csv", "ndjson"):
        before, base = server.used()
        began, size, most = time.monotonic(), 0, base
        done = threading.Event()

        def watch(done: threading.Event = done) -> None:
            nonlocal most
            while not done.wait(0.1):
                most = max(most, server.used()[1])

        watching = threading.Thread(target=watch)
        watching.start()
        for data in request(server, f"/v1/tables/{TABLE}/rows?format={form}&start={FIRST}&end={last}"):
            size += len(data)
        seconds = time.monotonic() - began
        done.set()
        watching.join()
        rate = size / 1e6 / (server.used()[0] - before)
        goal = GOALS.get(form)
        reached &= goal is None or rate >= goal
        print(
            f"| {form} | {rate:,.0f} | {size / 1e6 / seconds:,.0f} | {goal or ''} | {size / 1e6:,.0f} |"
            f" {(most - base) / 1e3:.0f} |",
            flush=True,
        )
    return reached


def first_bytes(server: Server, count: int) -> bool:
    """Measure how soon answers begin by account, asset and contract: often met, hardly ever, never."""
    print("\n| path | met | first byte, ms, median | CPU ms | goal |\n| --- | --- | ---: | ---: | ---: |")
    kinds: dict[str, dict[str, list[str]]] = {
        "accounts": {
            "often": [account(at) for at in range(5)],
            "rarely": [account(ACCOUNTS - 1 - at) for at in range(5)],
            "never": ["G" + "B" * 55],
        },
        "assets": {"often": [f"T{at:03d}:{account(at)}" for at in range(5)], "never": [f"NONE:{account(0)}"]},
        "contracts": {
            "often": [contract(at) for at in range(5)],
            "rarely": [contract(CONTRACTS - 1 - at) for at in range(5)],
            "never": ["C" + "B" * 55],
        },
    }
    reached = True
    for kind, names in kinds.items():
        for met, few in names.items():
            path = f"/v1/accounts/$/transfers?limit={count}"
            if kind == "assets":
                path = f"/v1/assets/$/transfers?limit={count}"
            elif kind == "contracts":
                path = f"/v1/tables/{TABLE}/rows?contract_ids=$&order=desc&limit={count}"
            took, cpu = [], server.used()[0]
            for name in few:
                began = time.monotonic()
                head = next(request(server, path.replace("$", quote(name, safe=":"))))
                if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 404")):
                    raise SystemExit(f"{name} was refused: {head[:500]!r}")
                took.append(1e3 * (time.monotonic() - began))
            each = 1e3 * (server.used()[0] - cpu) / len(few)
            median = statistics.median(took)
            reached &= min(median, each) <= FIRST_BYTE_GOAL_MS
            print(f"| {kind} | {met} | {median:,.1f} | {each:,.1f} | {FIRST_BYTE_GOAL_MS:.0f} |", flush=True)
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.data or Path(scratch, "data")
        last = stored(folder, given.rows)
        with served(folder) as server:
            server.until_quiet()
            reached = pages(server, last, given.seconds)
            reached &= streams(server)
            reached &= first_bytes(server, 100)
    print(f"\n{given.rows:,} rows stored; " + ", ".join(f"{key} {one}" for key, one in describe().items()))
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
