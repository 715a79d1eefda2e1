"""Measure file sinks: a local lake into Parquet, JSON lines and CSV, beside the Parquet writer alone.

Every case is a process of its own; they take turns, and the best of the rounds counts, as others use the
machine too. See README.md beside this file.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import machine
from extract_memory import sample

import stellarrow as sa
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.runs import Runs, arranged
from stellarrow.sinks.files.sink import FileSink
from stellarrow.sources.files import FileSource

TABLES = ("contract_data", "contract_events", "token_transfers")
LEDGER_BYTES = 1_700_000
FEW = "transaction_index % 100 = 1"  # of the rows of any table, and nothing the walk could answer itself
FIRST = 2
AS_THE_COMMAND = {"MIMALLOC_ALLOW_THP": "0"}  # what the command line sets, where nobody has
SAMPLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Took:
    """What a case took: seconds of the clock and of all cores, memory in MB."""

    ledgers: int
    rows: int
    seconds: float
    cpu_seconds: float
    output_mb: float
    peak_mb: float
    second_quarter_mb: float = 0.0
    last_quarter_mb: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Clock:
    """Seconds and processor time since it was made, and resident memory meanwhile."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), self._used()
        self._resident: list[float] = []
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._watch.start()

    def _used(self) -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            if (now := sample(os.getpid())) is not None:
                self._resident.append(now[0])

    def took(self, ledgers: int, rows: int, folder: Path | None = None, **more: float) -> Took:
        seconds, cpu = time.perf_counter() - self._began, self._used() - self._cpu
        self._done.set()
        held = self._resident or [0.0]
        quarter = max(1, len(held) // 4)
        return Took(
            ledgers, rows, seconds, cpu, stored(folder) if folder else 0.0, max(held),
            statistics.fmean(held[quarter : 2 * quarter] or held), statistics.fmean(held[-quarter:]), **more,
        )  # fmt: skip


def stored(folder: Path) -> float:
    return (
        sum(path.stat().st_size for path in folder.rglob("*") if path.suffix != ".json" and path.is_file())
        / 1e6
    )


def sink(kind: str, folder: Path, *, where: str = "", ledgers_per_file: int = 1_000) -> FileSink:
    name, _, codec = kind.partition("+")
    made = format_of(name, codec or None)
    kept = sa.Filter(where=where)
    return FileSink(
        folder, TABLES, format=made, network="synthetic", where=kept, ledgers_per_file=ledgers_per_file
    )


def extract(kind: str, lake: Path, folder: Path, where: str = "") -> Took:
    """Run the pipeline from the lake into a sink; `decode` has none."""
    sinks = [] if kind == "decode" else [sink(kind, folder, where=where)]
    sa.Decoder(TABLES, network="synthetic", where=where)  # what SQL needs is imported before the clock starts
    clock = Clock()
    report = sa.run(FileSource(lake), tables=TABLES, sinks=sinks, network="synthetic", where=where)
    took = clock.took(report.ledgers, sum(report.rows.values()), folder)
    for one in sinks:
        one.close()
    return took


def batches(lake: Path) -> list[sa.LedgerBatch]:
    decoder = sa.Decoder(TABLES, network="synthetic")
    source = FileSource(lake)
    return [decoder(chunk) for part in source.available() for chunk in source.read(part)]


def write_alone(lake: Path, folder: Path) -> Took:
    """Write what the sink would have, sorted already, with nothing but Parquet's writer on two threads."""
    held = batches(lake)
    made = Parquet()
    runs = {}
    for name in TABLES:
        gathered = Runs(sa.schema(name), sort_by="contract_id")
        whole = [run for batch in held for run in gathered.add(batch.tables[name])]
        runs[name] = [
            rows
            for run in (*whole, gathered.rest())
            for _, rows in arranged(run, sort_by="contract_id", partition=None, block=made.block)
        ]
    folder.mkdir(parents=True)

    def write(name: str) -> None:
        with open(folder / name, "wb") as file:
            writing = made.begin(file, sa.schema(name))
            for rows in runs[name]:
                writing.write(rows)
            writing.close({})

    clock = Clock()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(write, sorted(TABLES, key=lambda name: -sum(rows.num_rows for rows in runs[name]))))
    return clock.took(len(held), sum(run.num_rows for some in runs.values() for run in some), folder)


def follow(lake: Path, folder: Path) -> Took:
    """Commit ledger by ledger, files of fifty, so that compaction runs meanwhile."""
    source = FileSource(lake)
    chunks = [chunk for part in source.available() for chunk in source.read(part)]
    decoder = sa.Decoder(TABLES, network="synthetic")
    waits: list[float] = []
    rows = 0
    kept = sink("parquet", folder, ledgers_per_file=50)
    clock = Clock()
    for chunk in chunks:
        began = time.perf_counter()
        batch = decoder(chunk)
        kept.write(batch)
        kept.commit()
        waits.append(1_000 * (time.perf_counter() - began))
        rows += sum(table.num_rows for table in batch.tables.values())
        time.sleep(0.05)  # the chain gives more
    took = clock.took(
        len(chunks),
        rows,
        folder,
        p50_ms=statistics.median(waits),
        p99_ms=statistics.quantiles(waits, n=100)[98],
    )
    kept.close()
    return took


CASES: dict[str, Callable[[Path, Path], Took]] = {
    "decode": lambda lake, folder: extract("decode", lake, folder),
    "writer alone": write_alone,
    "parquet": lambda lake, folder: extract("parquet", lake, folder),
    "decode, 1 % by SQL": lambda lake, folder: extract("decode", lake, folder, FEW),
    "parquet, 1 % by SQL": lambda lake, folder: extract("parquet", lake, folder, FEW),
    "jsonl": lambda lake, folder: extract("jsonl", lake, folder),
    "jsonl+zstd": lambda lake, folder: extract("jsonl+zstd", lake, folder),
    "csv": lambda lake, folder: extract("csv", lake, folder),
    "follow": follow,
}


def rounds(lake: Path, names: list[str], count: int) -> dict[str, Took]:
    """Play every case in turn; keep the fastest of each."""
    best: dict[str, Took] = {}
    for _ in range(count):
        for name in names:
            argv = [sys.executable, __file__, "--case", name, "--lake", str(lake)]
            done = subprocess.run(
                argv, capture_output=True, text=True, check=True, env=AS_THE_COMMAND | os.environ
            )
            took = Took(**json.loads(done.stdout))
            if name not in best or took.seconds < best[name].seconds:
                best[name] = took
    return best


def report(best: dict[str, Took]) -> Iterator[str]:
    yield "| case | ledgers/s | rows/s | output MB/s | CPU ms/ledger | peak MB | 2nd → last quarter MB |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name, one in best.items():
        cells = (
            f"{one.ledgers / one.seconds:,.0f}",
            f"{one.rows / one.seconds:,.0f}",
            f"{one.output_mb / one.seconds:,.0f}",
            f"{1e3 * one.cpu_seconds / one.ledgers:.1f}",
            f"{one.peak_mb:,.0f}",
            f"{one.second_quarter_mb:,.0f} → {one.last_quarter_mb:,.0f}",
        )
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    if {"parquet", "writer alone"} <= best.keys():
        ratio = best["parquet"].seconds / best["writer alone"].seconds
        yield f"lake → Parquet takes {ratio:.2f} times what Parquet's writer alone takes"
    if {"parquet", "decode"} <= best.keys():
        share = best["decode"].cpu_seconds / best["parquet"].cpu_seconds
        yield f"reading and decoding is {100 * share:.0f} % of its processor time"
    for name in ("decode", "parquet"):
        if {name, few := f"{name}, 1 % by SQL"} <= best.keys():
            more = best[few].cpu_seconds / best[name].cpu_seconds - 1
            yield f"{few} takes {100 * more:+.0f} % of {name}'s processor time"
    if "follow" in best:
        follow = best["follow"]
        yield f"ledger in hand to row durable: p50 {follow.p50_ms:.0f} ms, p99 {follow.p99_ms:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CASES, help="these cases alone")
    parser.add_argument("--lake", type=Path, help="synthetic ledgers made before")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if asked.case:
            print(json.dumps(asdict(CASES[asked.case](asked.lake, Path(place, "out")))))
            return
        lake = asked.lake or Path(place, "lake")
        if not asked.lake:
            made = islice(synthetic(ledger_bytes=LEDGER_BYTES, first=FIRST), asked.ledgers)
            write_lake(lake, made, first=FIRST, network=Network.of("synthetic"))
        for name, value in machine.describe().items():
            print(f"- {name}: {value}")
        print("\n" + "\n".join(report(rounds(lake, asked.only or [*CASES], asked.rounds))))
        print(f"\nload after: {machine.load()}")
        if not asked.lake:
            shutil.rmtree(lake)


if __name__ == "__main__":
    main()
