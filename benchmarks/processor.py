"""The processor, measured over loopback: spool to clients, source to client, live, and its control calls.

python benchmarks/processor.py [LEDGERS]; they are synthetic, 1.33 MB each. The heavy ones of a load test are
measured too, where the shared ledgers are.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from corpora import SHARED, shared_ledgers
from peers.stepping import split

import stellarrow as sa
from stellarrow.core.synthetic import synthetic
from stellarrow.net.address import Address
from stellarrow.processor.processor import TABLES, Options, Processor
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.servers.processor_grpc import ControlServer

FIRST = 100
LEDGER_BYTES = 1_330_000
ANYWHERE = Address("127.0.0.1", 0)
SESSIONS = 8
STALLS = 8
TURNS = 5

# Reads a table to its end, at a word on stdin; prints rows, bytes, seconds, and when each ledger came.
CLIENT = """
import json, sys, time
from pyarrow import flight
client = flight.connect(sys.argv[1], generic_options=[("grpc.http2.bdp_probe", 0)])
client.wait_for_available()
print("ready", flush=True); sys.stdin.readline()
began = time.monotonic(); rows = size = 0; came = {}
for chunk in client.do_get(flight.Ticket(sys.argv[2].encode())):
    rows += chunk.data.num_rows; size += chunk.data.nbytes
    came[json.loads(chunk.app_metadata.to_pybytes())["last_ledger"]] = time.monotonic()
print(json.dumps([rows, size, time.monotonic() - began, came]))
"""

# Begins streams, takes a batch of each, and nothing more, until stdin ends.
STALLED = """
import sys
from pyarrow import flight
clients = [flight.connect(sys.argv[1]) for _ in range(int(sys.argv[3]))]
streams = [client.do_get(flight.Ticket(sys.argv[2].encode())) for client in clients]
for stream in streams:
    stream.read_chunk()
print("ready", flush=True); sys.stdin.read()
"""

# Asks for a session's status until it has ended; prints the seconds each call took.
CALLER = """
import json, sys, time
import grpc
from stellarrow.proto import control_service_pb2 as messages
from stellarrow.servers.processor_grpc import SERVICE
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary(
    f"/{SERVICE}/GetStatus",
    request_serializer=messages.GetStatusRequest.SerializeToString,
    response_deserializer=messages.GetStatusResponse.FromString,
)
grpc.channel_ready_future(channel).result()
print("ready", flush=True)
ids = json.loads(sys.stdin.readline()); took = []; status = 2
while status < 4:
    states = []
    for one in ids:
        began = time.monotonic()
        states.append(call(messages.GetStatusRequest(session_id=one)).status)
        took.append(time.monotonic() - began)
    status = min(states); time.sleep(0.002)
print(json.dumps(took))
"""


class Memory:
    """Ledgers out of memory, given out one after the other, all at once or when `due` says."""

    def __init__(
        self, made: Sequence[bytes], pace: float = 0.0, *, first: int = FIRST, network: str = "synthetic"
    ) -> None:
        self._made = made
        self._known = sa.LedgerRange(first, first + len(made) - 1)
        self._network = sa.Network.of(network)
        self._pace = pace
        self._stop = threading.Event()
        self.given: dict[int, float] = {}

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet([self._known])

    def network(self) -> sa.Network:
        return self._network

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        for ledger in range(ledgers.first, min(ledgers.end, self._known.end) + 1):
            if self._stop.wait(self._pace):
                return
            self.given[ledger] = time.monotonic()
            yield sa.LedgerChunk(self._made[ledger - self._known.first], "single", ledger, ledger, "memory")

    def close(self) -> None:
        """Do nothing: the next session reads on."""


class Reader:
    """A client in a process of its own."""

    def __init__(self, address: Address, table: str) -> None:
        argv = [sys.executable, "-c", CLIENT, f"grpc://{address}", json.dumps({"table": table})]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def go(self) -> None:
        print("go", file=self._process.stdin, flush=True)

    def result(self) -> Any:
        answer = json.loads(self._line())
        self._process.wait()
        return answer

    def _line(self) -> str:
        return self._process.stdout.readline() if self._process.stdout else ""


@contextmanager
def serving(source: Callable[[], sa.Source], tables: Sequence[str]) -> Iterator[tuple[Processor, Address]]:
    with tempfile.TemporaryDirectory() as folder:
        processor = Processor(source, Options(state_dir=Path(folder), tables=tuple(tables)))
        with closing(processor), closing(FlightServer(ANYWHERE, processor)) as server:
            yield processor, server.address


def percentile(values: Sequence[float], share: float) -> float:
    held = sorted(values)
    return held[min(len(held) - 1, int(len(held) * share))] * 1_000


def anonymous_mb() -> int:
    """Memory of this process that is not files mapped from disk."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1_000 for line in lines if line.startswith("RssAnon"))


def load_test(tables: Sequence[str]) -> None:
    """Process the shared ledgers of a load test in as many sessions as run at once: they are only thirty."""
    folder = shared_ledgers()
    if folder is None:
        print("ledgers of a load test: not measured, the shared ledgers are not here")
        return
    with pa.input_stream(folder / SHARED[0].file, compression="zstd") as stream:
        made = split(stream.read())
    network = SHARED[0].passphrase
    first = sa.decode(made[0], ["ledgers"], network=network)["ledgers"]["ledger_sequence"][0].as_py()
    source = partial(Memory, made, first=first, network=network)
    size = sum(map(len, made)) / 1e6 * SESSIONS
    with serving(source, tables) as (processor, address):
        reader = Reader(address, "contract_data")
        reader.go()
        began = time.monotonic()
        for _ in range(SESSIONS):
            processor.start(first, first + len(made) - 1)
        rows, *_ = reader.result()
        seconds = time.monotonic() - began
    print(
        f"source to client, {len(tables)} tables of a load test's ledgers: {size / seconds:,.0f} MB/s of XDR,"
        f" {rows / seconds:,.0f} rows/s of one table at the client"
    )


def end_to_end(made: Sequence[bytes], tables: Sequence[str]) -> None:
    size = sum(map(len, made)) / 1e6
    base = anonymous_mb()
    with serving(lambda: Memory(made), tables) as (processor, address):
        reader = Reader(address, tables[0].partition("@")[0])
        reader.go()
        began, cpu = time.monotonic(), time.process_time()
        processor.start(FIRST, FIRST + len(made) - 1)
        reader.result()
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        memory = anonymous_mb() - base
        print(
            f"source to client, {len(tables)} tables: {size / seconds:,.0f} MB/s of XDR,"
            f" {size / cpu:,.0f} MB a CPU second of the processor, +{memory} MB"
        )
        for count in (1, 1, 4):
            readers = [Reader(address, tables[0].partition("@")[0]) for _ in range(count)]
            began = time.monotonic()
            for one in readers:
                one.go()
            rows = sum(one.result()[0] for one in readers)
            print(f"spool to {count} clients: {rows / (time.monotonic() - began):,.0f} rows/s together")


@contextmanager
def stalled(address: Address, table: str, count: int) -> Iterator[None]:
    """Attach clients that take nothing."""
    argv = [sys.executable, "-c", STALLED, f"grpc://{address}", json.dumps({"table": table}), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        if not (clients.stdin and clients.stdout and clients.stdout.readline()):
            raise RuntimeError("the stalled clients did not start")
        time.sleep(1)  # until what the network holds is full
        yield


def presence(made: Sequence[bytes], tables: Sequence[str]) -> None:
    """Compare what a reader costs the processor alone and beside clients that take nothing, in turns."""
    table = tables[0].partition("@")[0]
    costs: dict[int, list[float]] = {0: [], STALLS: []}
    with serving(lambda: Memory(made), tables) as (processor, address):
        session = processor.start(FIRST, FIRST + len(made) - 1)
        while not processor.work(session.id).session.status.is_final:
            time.sleep(0.1)
        for count in (0, STALLS) * TURNS:
            with stalled(address, table, count):
                reader = Reader(address, table)
                cpu = time.process_time()
                reader.go()
                rows, *_ = reader.result()
                costs[count].append((time.process_time() - cpu) / rows * 1e6)
    alone, beside = (statistics.median(costs[count]) for count in costs)
    print(
        f"{STALLS} clients that take nothing: {beside:.3f} CPU seconds of the processor a million rows to"
        f" another, without them {alone:.3f}: {beside / alone:.2f} times"
    )


def live(made: Sequence[bytes], tables: Sequence[str]) -> None:
    source = Memory(made, pace=0.25)
    with serving(lambda: source, tables) as (processor, address):
        reader = Reader(address, tables[0].partition("@")[0])
        reader.go()
        processor.start(FIRST, FIRST + len(made) - 1)
        came = {int(ledger): at for ledger, at in reader.result()[3].items()}
    waits = [came[ledger] - at for ledger, at in source.given.items() if ledger in came]
    print(
        f"live, ledger handed in to batch at the client: p50 {percentile(waits, 0.5):.1f} ms,"
        f" p99 {percentile(waits, 0.99):.1f} ms of {len(waits)}"
    )


def control(made: Sequence[bytes], tables: Sequence[str]) -> None:
    with (
        serving(lambda: Memory(made), tables) as (processor, _),
        closing(ControlServer(ANYWHERE, processor)) as server,
    ):
        server.start()
        argv = [sys.executable, "-c", CALLER, str(server.address)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as caller:
            if not (caller.stdin and caller.stdout and caller.stdout.readline()):
                return
            ids = [processor.start(FIRST, FIRST + len(made) - 1).id for _ in range(2)]
            print(json.dumps(ids), file=caller.stdin, flush=True)
            took = json.loads(caller.stdout.readline())
    print(
        f"GetStatus while two sessions of {len(tables)} tables run: p50 {percentile(took, 0.5):.2f} ms,"
        f" p99 {percentile(took, 0.99):.2f} ms of {len(took)}"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    made = list(islice(synthetic(2_000, first=FIRST, ledger_bytes=LEDGER_BYTES), count))
    one = ["contract_data@2.0"]
    for tables in (one, TABLES):
        end_to_end(made, tables)
        load_test(tables)
    presence(made, one)
    live(made[:60], one)
    for tables in (one, TABLES):
        control(made, tables)


if __name__ == "__main__":
    main()
