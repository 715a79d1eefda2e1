"""Measure commits of one ledger each, thousands of them, into every kind of sink: the first beside the last.

Every sink is a process of its own, with the settings that it has by default; brokers and servers are the
tests'. Wall-clock times tell of the machine too, so the processor time of the writer stands beside them. See
README.md beside this file.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import clickhouse
import kafka
import lakehouse

import stellarrow as sa
from fakes import nats
from fakes.postgres import open_folder
from stellarrow import registry
from stellarrow.core.options import DecodeOptions
from stellarrow.ledgers import Network
from stellarrow.sinks.postgres.embedded import PrivateServer

TABLES = ("contract_data", "contract_events", "token_transfers")
LEDGER_BYTES = 60_000
MADE = 50  # ledgers, whose rows come again and again as those of later ones
SPAN = 500  # commits at either end
GOAL_MS = 100
FIRST = 100_000
KINDS = ("parquet", "delta", "iceberg", "duckdb", "postgres", "kafka", "nats", "clickhouse")


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of each commit, of the clock and of the processor."""

    clock: list[float]
    cpu: list[float]
    peak_mb: float


@contextmanager
def place(kind: str, folder: Path) -> Iterator[str]:
    """Start what a sink needs; yield its address."""
    if kind == "kafka":
        with kafka.broker(folder) as address:
            yield f"kafka://{address}/"
    elif kind == "nats":
        broker = nats.started(folder)
        try:
            yield f"nats://{broker.address}/"
        finally:
            broker.process.kill()
    elif kind == "clickhouse":
        with clickhouse.server(folder) as address:
            yield f"clickhouse://{address}/bench"
    elif kind == "postgres":
        with open_folder() as place, PrivateServer(place) as server:
            yield server.url
    elif kind == "iceberg":
        lakehouse.name_catalog(folder)
        yield "iceberg:bench/stellar"
    else:
        yield f"{kind}:{folder}/out" + (".db" if kind == "duckdb" else "")


def follow(kind: str, folder: Path, commits: int, ledger_bytes: int) -> Took:
    """Commit ledger after ledger; the first, which makes tables, does not count."""
    made = clickhouse.batches(MADE, ledger_bytes, FIRST)
    options = registry.SinkOptions.of(DecodeOptions(network=Network.of("synthetic")))
    clock, cpu = [], []
    with place(kind, folder) as url, closing(registry.open_sink(url, TABLES, options)) as sink:
        for at in range(commits + 1):
            one: sa.LedgerBatch = clickhouse.shifted(made[at % MADE], FIRST + at)
            began, used = time.perf_counter(), time.process_time()
            sink.write(one)
            sink.commit()
            clock.append(1_000 * (time.perf_counter() - began))
            cpu.append(1_000 * (time.process_time() - used))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Took(clock[1:], cpu[1:], peak)


def p95(found: list[float]) -> float:
    return statistics.quantiles(found, n=20)[-1]


def line(kind: str, found: Took) -> str:
    clock, cpu = found.clock, found.cpu
    span = min(SPAN, len(clock) // 2)
    first, last = clock[:span], clock[-span:]
    used = [statistics.mean(one) for one in (cpu[:span], cpu[-span:])]
    verdict = "reached" if p95(last) < GOAL_MS else "missed"
    return (
        f"| {kind} | {len(clock):,} | {statistics.median(first):.0f} | {p95(first):.0f}"
        f" | {statistics.median(last):.0f} | {p95(last):.0f} | {verdict} {GOAL_MS} | {max(clock):,.0f}"
        f" | {used[0]:.1f} | {used[1]:.1f} | {found.peak_mb:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=5_000, help="of one ledger each")
    parser.add_argument("--ledger-bytes", type=int, default=LEDGER_BYTES, help="of XDR")
    parser.add_argument("--only", choices=KINDS, help="one kind of sink alone")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.kind:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asdict(follow(asked.kind, Path(folder), asked.commits, asked.ledger_bytes))))
        return
    print(" · ".join(f"{name} {value}" for name, value in machine.describe().items()))
    print(
        f"\n| sink | commits | first {SPAN} p50 ms | p95 | last {SPAN} p50 ms | p95 | goal | longest", end=""
    )
    print(f" | CPU ms, first {SPAN} | last {SPAN} | peak MB |\n|---|" + "---:|" * 5 + "---|" + "---:|" * 4)
    for kind in [asked.only] if asked.only else KINDS:
        if kind == "iceberg" and not lakehouse.SITE.is_dir():
            print(f"PyIceberg is not in {lakehouse.SITE}: make servers fetches it")
            continue
        argv = [sys.executable, __file__, "--kind", kind, "--commits", str(asked.commits)]
        argv += ["--ledger-bytes", str(asked.ledger_bytes)]
        env = lakehouse.environment(kind)
        done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True)
        print(line(kind, Took(**json.loads(done.stdout.splitlines()[-1]))), flush=True)
    print(f"\nload after: {machine.load()}")


if __name__ == "__main__":
    main()
