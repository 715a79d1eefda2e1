"""Measure the Delta and Iceberg sinks beside our Parquet sink, in one run: rows a second, commits one by one.

Batches are decoded before the clock starts; every case is a process of its own, they take turns, and the best
of the rounds counts, as others use the machine too. PyIceberg comes from where `make servers` put it. See
README.md beside this file.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import machine

import stellarrow as sa
from stellarrow import registry
from stellarrow.core.framing import frame
from stellarrow.core.options import DecodeOptions
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

TABLES = ("contract_data", "contract_events", "token_transfers")
HEAVY, LIGHT = 1_700_000, 60_000  # bytes of a ledger, in bulk and one by one
FIRST = 99  # the last ledger of a file, so that none is merged in bulk
GOAL = 0.8  # of the rows a second of our Parquet sink
COMMIT_GOAL_MS = 100
SITE = Path(sys.prefix, "servers", "lakehouse", "pyiceberg")
PLACES = {
    "parquet": "parquet:{folder}/out?ledgers=50",
    "delta": "delta:{folder}/out?ledgers=50",
    "iceberg": "iceberg:bench/stellar?ledgers=50",
}


def batches(ledgers: int, size: int) -> Iterator[sa.LedgerBatch]:
    decoder = sa.Decoder(TABLES, network="synthetic")
    for number, one in enumerate(islice(synthetic(2_000, first=FIRST, ledger_bytes=size), ledgers), FIRST):
        chunk = sa.LedgerChunk(frame([one], "record-marked"), "record-marked", number, number, "memory")
        yield decoder(chunk)


def name_catalog(folder: Path) -> None:
    """Name a catalog in SQLite as `bench`, as PyIceberg's own configuration does."""
    for name, value in {
        "TYPE": "sql",
        "URI": f"sqlite:///{folder}/catalog.db",
        "WAREHOUSE": f"file://{folder}/warehouse",
    }.items():
        os.environ[f"PYICEBERG_CATALOG__BENCH__{name}"] = value


def environment(kind: str) -> dict[str, str]:
    """Return an environment in which a kind of sink finds what it takes."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(SITE)]))
    return {**os.environ, "PYTHONPATH": path if kind == "iceberg" else os.environ.get("PYTHONPATH", "")}


def opened(kind: str, folder: Path) -> sa.Sink:
    if kind == "iceberg":
        name_catalog(folder)
    options = registry.SinkOptions.of(DecodeOptions(network=Network.of("synthetic")))
    return registry.open_sink(PLACES[kind].format(folder=folder), TABLES, options)


def bulk(kind: str, folder: Path, ledgers: int) -> dict[str, float]:
    """Bring heavy ledgers, and commit once; return rows, and seconds of the clock and of all cores."""
    first, *held = batches(ledgers + 1, HEAVY)
    rows = sum(table.num_rows for one in held for table in one.tables.values())
    sink = opened(kind, folder)
    sink.write(first)
    sink.commit()  # tables are made, libraries are imported
    began, cpu = time.perf_counter(), time.process_time()
    for one in held:
        sink.write(one)
    sink.commit()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    sink.close()
    return {"rows": rows, "seconds": seconds, "cpu": used, "peak_mb": _peak()}


def one_by_one(kind: str, folder: Path, ledgers: int) -> dict[str, float]:
    """Commit ledger after ledger, as at the live edge; return milliseconds of a commit."""
    sink, waits = opened(kind, folder), []
    for one in batches(ledgers, LIGHT):
        began = time.perf_counter()
        sink.write(one)
        sink.commit()
        waits.append(1_000 * (time.perf_counter() - began))
    sink.close()
    waits = waits[1:]  # the first makes tables
    quarter = max(1, len(waits) // 4)
    return {
        "commits": len(waits),
        "p50": statistics.median(waits),
        "p95": statistics.quantiles(waits, n=20)[-1],
        "first": statistics.median(waits[:quarter]),
        "last": statistics.median(waits[-quarter:]),
        "peak_mb": _peak(),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CASES = {"bulk": bulk, "one by one": one_by_one}


def measured(case: str, kind: str, ledgers: int) -> dict[str, float]:
    """Run a case in a process of its own."""
    argv = [sys.executable, __file__, "--case", case, "--kind", kind, "--ledgers", str(ledgers)]
    done = subprocess.run(argv, env=environment(kind), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def report(kinds: list[str], ledgers: int, commits: int, rounds: int) -> Iterator[str]:
    found = {kind: list[dict[str, float]]() for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            found[kind].append(measured("bulk", kind, ledgers))
    yield "| sink | rows/s | of Parquet's | rows per CPU second | of Parquet's | goal | peak MB |"
    yield "|---|---:|---:|---:|---:|---|---:|"
    rates = {kind: max(one["rows"] / one["seconds"] for one in all_) for kind, all_ in found.items()}
    by_cpu = {kind: max(one["rows"] / one["cpu"] for one in all_) for kind, all_ in found.items()}
    for kind in kinds:
        share, cpu_share = rates[kind] / rates["parquet"], by_cpu[kind] / by_cpu["parquet"]
        goal = "" if kind == "parquet" else f"{'reached' if cpu_share >= GOAL else 'missed'} {GOAL}"
        peak = max(one["peak_mb"] for one in found[kind])
        yield (
            f"| {kind} | {rates[kind]:,.0f} | {share:.2f} | {by_cpu[kind]:,.0f} | {cpu_share:.2f} | {goal}"
            f" | {peak:,.0f} |"
        )
    yield "\n| commits one by one | count | p50 ms | p95 ms | goal | first quarter p50 | last quarter p50 |"
    yield "|---|---:|---:|---:|---|---:|---:|"
    for kind in kinds:
        one = measured("one by one", kind, commits)
        goal = f"{'reached' if one['p95'] < COMMIT_GOAL_MS else 'missed'} {COMMIT_GOAL_MS}"
        yield (
            f"| {kind} | {one['commits']:,.0f} | {one['p50']:.0f} | {one['p95']:.0f} | {goal}"
            f" | {one['first']:.0f} | {one['last']:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=60, help="of 1.7 MB, in bulk")
    parser.add_argument("--commits", type=int, default=600, help="of one ledger each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=PLACES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(CASES[asked.case](asked.kind, Path(folder), asked.ledgers)))
        return
    kinds = [kind for kind in PLACES if kind != "iceberg" or SITE.is_dir()]
    if len(kinds) < len(PLACES):
        print(f"PyIceberg is not in {SITE}: make servers fetches it")
    for name, value in machine.describe().items():
        print(f"- {name}: {value}")
    print()
    for line in report(kinds, asked.ledgers, asked.commits, asked.rounds):
        print(line, flush=True)
    print(f"\nload after: {machine.load()}")


if __name__ == "__main__":
    main()
