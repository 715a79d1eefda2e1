"""The token-transfer chain over loopback: source, processor and a Flight client, each a process of its own.

python benchmarks/chain.py; on the heavy ledgers of a load test where the shared ledgers are, and on synthetic
ones of the same size. Goals: 400 MB/s of raw XDR on two cores, which is 200 MB a CPU second of all three
together, whatever else the machine does; 100 events transformed in 1 ms.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pyarrow as pa
from builds import HERE
from corpora import SHARED, shared_ledgers
from peers.stepping import split

import stellarrow as sa
from processor import FIRST, LEDGER_BYTES, Memory, Reader, serving
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.decode import Decoder
from stellarrow.core.synthetic import synthetic
from stellarrow.enrichment.tokens import Tokens
from stellarrow.enrichment.transfers import enriched
from stellarrow.sources.flight import FlightSource

sys.path.insert(0, str(HERE.parent / "tests"))

from fakes.process import free_port

TABLE = "token_transfers"
SYNTHETIC = 200  # ledgers
SESSIONS = 8  # of the load test's thirty ledgers, so that it takes a while
ROUNDS = 3
EVENTS = 100


@dataclass(frozen=True, slots=True)
class Took:
    """One way through: seconds, CPU seconds of source, processor and client, and how many events."""

    seconds: float
    cpu: tuple[float, float, float]
    events: int


def cpu_of(process: int) -> float:
    """Return the CPU seconds that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def source(place: Path, network: str) -> Iterator[tuple[str, int]]:
    """Serve ledgers over Flight in a process of its own."""
    flight, health = free_port(), free_port()
    argv = [sys.executable, "-m", "stellarrow.cli", "source", "serve", "--source", str(place)]
    argv += ["--network", network, f"--flight-address=:{flight}", f"--health-port=:{health}"]
    argv += [f"--grpc-address=:{free_port()}", "--state-dir", tempfile.mkdtemp(), "--log-level=error"]
    with subprocess.Popen(argv) as process:
        try:
            while True:
                try:
                    urlopen(f"http://127.0.0.1:{health}/health/live", timeout=5).close()
                    break
                except (URLError, OSError):
                    time.sleep(0.05)
            yield f"flight://127.0.0.1:{flight}", process.pid
        finally:
            process.kill()


def through(
    open_source: Callable[[], sa.Source], first: int, last: int, sessions: int, *, served_by: int = 0
) -> Took:
    """Let a client take all there is; `served_by` is the source's process."""
    with serving(open_source, [TABLE]) as (processor, address):
        reader = Reader(address, TABLE)
        clients = resource.getrusage(resource.RUSAGE_CHILDREN)
        source_cpu = cpu_of(served_by) if served_by else 0.0
        reader.go()
        began, cpu = time.monotonic(), time.process_time()
        for _ in range(sessions):
            processor.start(first, last)
        rows, *_ = reader.result()
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
        source_cpu = cpu_of(served_by) - source_cpu if served_by else 0.0
        client = resource.getrusage(resource.RUSAGE_CHILDREN)
        client_cpu = client.ru_utime + client.ru_stime - clients.ru_utime - clients.ru_stime
        return Took(seconds, (source_cpu, cpu, client_cpu), rows)


def decoded(made: Sequence[bytes], network: str) -> float:
    """Return how long one thread takes to decode all of it: what two cores cannot do twice as fast."""
    decoder = Decoder([TABLE], network=network)
    first = sa.decode(made[0], ["ledgers"], network=network)["ledgers"]["ledger_sequence"][0].as_py()
    began = time.perf_counter()
    for number, one in enumerate(made, first):
        decoder(sa.LedgerChunk(one, "single", number, number, "memory"))
    return time.perf_counter() - began


def report(what: str, size: float, took: Sequence[Took]) -> None:
    best = min(took, key=lambda one: sum(one.cpu))
    seconds = statistics.median(one.seconds for one in took)
    parts = " + ".join(f"{one:.2f}" for one in best.cpu)
    print(
        f"{what}: {size / seconds / 1e6:,.0f} MB/s of XDR, {best.events / seconds:,.0f} events/s;"
        f" {size / sum(best.cpu) / 1e6:,.0f} MB a CPU second ({parts} s of source, processor and client)",
        flush=True,
    )


def measure(
    what: str, made: Sequence[bytes], place: Path, network: str, *, first: int, sessions: int
) -> None:
    size, last = sum(map(len, made)) * sessions, first + len(made) - 1
    alone = min(decoded(made, network) for _ in range(ROUNDS)) * sessions
    print(f"{what}, decoding alone on one thread: {size / alone / 1e6:,.0f} MB/s of XDR", flush=True)
    memory = partial(Memory, made, first=first, network=network)
    report(
        f"{what}, memory → processor → client",
        size,
        [through(memory, first, last, sessions) for _ in range(ROUNDS)],
    )
    with source(place, network) as (url, process):
        report(
            f"{what}, source → processor → client",
            size,
            [
                through(partial(FlightSource, url), first, last, sessions, served_by=process)
                for _ in range(ROUNDS)
            ],
        )


def transformed() -> None:
    """Measure what a batch of events costs: what its tokens are called, and making it out of a ledger."""
    ledger = HERE.parent / "python" / "stellarrow" / "data" / "ledgers" / "pubnet-58752000.xdr.zst"
    rows = sa.decode(ledger.read_bytes(), [TABLE])[TABLE].slice(200, EVENTS)
    tokens, took = Tokens(), []
    for _ in range(500):
        began = time.perf_counter()
        enriched(rows, tokens)
        took.append(time.perf_counter() - began)
    print(f"{EVENTS} events enriched: {statistics.median(took) * 1e3:.2f} ms", flush=True)
    decoder = Decoder(
        [TABLE], network="pubnet", where=sa.Filter(event_types=["payment"], asset_codes=["XLM"])
    )
    chunk = sa.LedgerChunk(ledger.read_bytes(), "auto", 58_752_000, 58_752_000, "memory")
    every = sa.decode(ledger.read_bytes(), [TABLE])[TABLE].num_rows
    took = []
    for _ in range(100):
        began = time.perf_counter()
        decoder(chunk)
        took.append((time.perf_counter() - began) / every * EVENTS)
    print(f"{EVENTS} events out of a ledger of pubnet: {statistics.median(took) * 1e3:.2f} ms", flush=True)


def main() -> None:
    transformed()
    if folder := shared_ledgers():
        with pa.input_stream(folder / SHARED[0].file, compression="zstd") as stream:
            made = split(stream.read())
        network = SHARED[0].passphrase
        first = sa.decode(made[0], ["ledgers"], network=network)["ledgers"]["ledger_sequence"][0].as_py()
        place = folder / SHARED[0].file
        measure("load test", made, place, network, first=first, sessions=SESSIONS)
    else:
        print("ledgers of a load test: not measured, the shared ledgers are not here")
    made = list(islice(synthetic(2_000, first=FIRST, ledger_bytes=LEDGER_BYTES), SYNTHETIC))
    with tempfile.TemporaryDirectory() as folder_name:
        lake = Path(folder_name) / "lake"
        write_lake(lake, iter(made), first=FIRST, network=sa.Network.of("synthetic"))
        measure("synthetic", made, lake, "synthetic", first=FIRST, sessions=1)


if __name__ == "__main__":
    main()
