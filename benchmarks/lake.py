"""Measure a data lake in S3, near and far, against the same bytes in memory: see README.md beside it."""

import argparse
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import machine
import report
from builds import HERE

import stellarrow as sa
from stellarrow.core.synthetic import synthetic
from stellarrow.lake.layout import Layout, manifest
from stellarrow.lake.writer import packed
from stellarrow.sources.lake import LakeOptions, LakeSource
from stellarrow.storage.opening import open_store

sys.path.insert(0, str(HERE.parent / "tests"))
from fakes.process import Process, free_port, program
from fakes.toxiproxy import Toxiproxy

TABLES = ("contract_data", "contract_events")
LEDGER_BYTES = 1_700_000
FIRST = 1_000
BUCKET = "lake"
KEYS = {"ROOT_ACCESS_KEY": "bench", "ROOT_SECRET_KEY": "not-a-secret"}
LATENCY_MS = 50
# The wait of the poll itself is not to count: one so short hardly does.
POLL = 0.01


@dataclass(frozen=True, slots=True)
class Way:
    """One way for the same ledgers to come, what it must reach, and of what."""

    name: str
    open: Callable[[], Any]
    goal: float | None = None
    of: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a way reached, in MB/s of XDR, with how many fetchers and ms of CPU a ledger, a sample a round."""

    name: str
    samples: list[float]
    fetchers: list[int]
    cpu_ms: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


class Memory:
    """The lake's files in memory: what no source can be faster than."""

    def __init__(self, chunks: list[sa.LedgerChunk]) -> None:
        self._chunks = chunks

    def available(self) -> sa.LedgerSet:
        return sa.LedgerSet([sa.LedgerRange(self._chunks[0].first, self._chunks[-1].last)])

    def network(self) -> sa.Network | None:
        return None

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        yield from (chunk for chunk in self._chunks if ledgers.first <= chunk.first <= ledgers.end)

    def close(self) -> None:
        pass


class Arrivals:
    """A sink that notes when each ledger's rows are in hand."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.more = threading.Condition()

    def write(self, batch: sa.LedgerBatch) -> None:
        with self.more:
            self.at[batch.last] = time.monotonic()
            self.more.notify()

    def commit(self) -> None:
        pass

    def coverage(self) -> sa.LedgerSet:
        return sa.LedgerSet()

    def close(self) -> None:
        pass


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=3_000, help="how many in the lake")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--arrivals", type=int, default=200, help="ledgers that appear one by one")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "lake.json")
    return parser.parse_args()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def server(scratch: Path) -> Iterator[Process]:
    """Run an S3 server over scratch/buckets."""
    (scratch / "buckets" / BUCKET).mkdir(parents=True)
    (scratch / "metadata").mkdir()
    port = free_port()
    argv: list[str | Path] = [program("versitygw"), "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive"]
    argv += ["posix", "--sidecar", str(scratch / "metadata"), str(scratch / "buckets")]
    process = Process(argv, port=port, log=scratch / "versitygw.log", env=KEYS)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def far(scratch: Path, port: int) -> Iterator[tuple[Process, str, str]]:
    """Put proxies before the server; yield the URLs of one that passes on at once, and of one that waits."""
    control = free_port()
    argv: list[str | Path] = [program("toxiproxy-server"), "-host", "127.0.0.1", "-port", str(control)]
    process = Process(argv, port=control, log=scratch / "toxiproxy.log")
    try:
        proxies = [Toxiproxy(control).proxy(name, f"127.0.0.1:{port}") for name in ("plain", "far")]
        proxies[1].add("latency", latency=LATENCY_MS)
        yield process, f"http://{proxies[0].address}", f"http://{proxies[1].address}"
    finally:
        process.stop()


def fill(folder: Path, ledgers: int) -> list[sa.LedgerChunk]:
    """Write the lake's files, and return them as chunks in memory."""
    layout = Layout()
    (folder / ".config.json").write_bytes(manifest(layout, sa.Network.of("synthetic")))
    chunks = []
    for ledger, meta in enumerate(islice(synthetic(first=FIRST, ledger_bytes=LEDGER_BYTES), ledgers), FIRST):
        data = packed([meta])
        path = folder / layout.key(ledger)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        chunks.append(sa.LedgerChunk(data, "auto", ledger, ledger, "memory"))
    return chunks


def run(source: Any, last: int) -> float:
    """Bring the ledgers through the pipeline, and return MB of XDR a second."""
    done = sa.run(source, tables=TABLES, sinks=[], network="synthetic", ledgers=sa.LedgerRange(FIRST, last))
    return done.bytes / done.seconds / 1e6


def cpu(processes: Sequence[Process]) -> float:
    """Return the seconds of CPU that this process and others have used."""
    used = time.process_time()
    for process in processes:
        # proc(5): user and system time are fields 14 and 15, in ticks.
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def play(ways: list[Way], rounds: int, ledgers: int, servers: Sequence[Process]) -> list[Figure]:
    """Let the ways take turns: a noisy minute hits all alike. One round warms up."""
    figures = [Figure(way.name, [], [], []) for way in ways]
    for number in range(rounds + 1):
        for way, figure in zip(ways, figures, strict=True):
            source = way.open()
            before = cpu(servers)
            reached = run(source, FIRST + ledgers - 1)
            source.close()
            if number:
                figure.samples.append(reached)
                figure.cpu_ms.append((cpu(servers) - before) * 1_000 / ledgers)
                figure.fetchers.append(getattr(source, "fetchers", 0))
            say(f"round {number} {way.name}: {reached:,.0f} MB/s, {getattr(source, 'fetchers', 0)} fetchers")
    return figures


def follow(endpoint: str, chunks: list[sa.LedgerChunk]) -> list[float]:
    """Let ledgers appear one by one, and return how many ms later the rows of each are in hand."""
    store = open_store(f"s3://{BUCKET}/live")
    store.put(".config.json", manifest(Layout(), sa.Network.of("synthetic")), {})
    source = LakeSource(f"s3://{BUCKET}/live", LakeOptions(endpoint=endpoint, poll=POLL))
    arrivals = Arrivals()
    reading = threading.Thread(
        target=lambda: sa.run(
            source, tables=TABLES, sinks=[arrivals], network="synthetic", ledgers=sa.LedgerRange(FIRST)
        ),
        daemon=True,
    )
    reading.start()
    chance = random.Random(1)  # noqa: S311
    took = []
    for chunk in chunks:
        time.sleep(chance.uniform(0.02, 0.1))
        store.put(Layout().key(chunk.first), chunk.data, {})
        appeared = time.monotonic()
        with arrivals.more:
            if not arrivals.more.wait_for(lambda: chunk.first in arrivals.at, 30):  # noqa: B023
                raise SystemExit(f"ledger {chunk.first} never came")
        took.append((arrivals.at[chunk.first] - appeared) * 1_000)
    source.close()
    reading.join(10)
    return took


def main() -> int:
    options = parse()
    logging.disable()
    described = machine.describe()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stellarrow-bench-")))
        store = stack.enter_context(server(scratch))
        proxy, plain, distant = stack.enter_context(far(scratch, store.port))
        near = f"http://127.0.0.1:{store.port}"
        os.environ |= {
            "AWS_ACCESS_KEY_ID": KEYS["ROOT_ACCESS_KEY"],
            "AWS_SECRET_ACCESS_KEY": KEYS["ROOT_SECRET_KEY"],
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": near,
        }
        say(f"making {options.ledgers} ledgers")
        chunks = fill(scratch / "buckets" / BUCKET, options.ledgers)

        def lake(endpoint: str) -> LakeSource:
            return LakeSource(f"s3://{BUCKET}", LakeOptions(endpoint=endpoint))

        ways = [
            Way("memory", lambda: Memory(chunks)),
            Way("S3 on loopback", lambda: lake(near), 0.7, "memory"),
            Way("through a proxy", lambda: lake(plain)),
            Way(f"{LATENCY_MS} ms away", lambda: lake(distant), 0.9, "S3 on loopback"),
        ]
        figures = play(ways, options.rounds, options.ledgers, (store, proxy))
        say("ledgers that appear one by one")
        took = sorted(follow(near, chunks[: options.arrivals]))
    tell(ways, figures, took, described, sum(len(chunk.data) for chunk in chunks) / len(chunks))
    described["load after"] = machine.load()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    results = {"machine": described, "ways": [*map(asdict, figures)], "follow_ms": took}
    options.output.write_text(json.dumps(results, indent=1))
    return 0


def tell(
    ways: list[Way], figures: list[Figure], took: list[float], described: dict[str, str], stored: float
) -> None:
    medians = {figure.name: figure.median for figure in figures}
    print("# A lake in S3\n")
    print(report.table(("machine", ""), described.items(), texts=2))
    print(
        f"Ledgers of {LEDGER_BYTES / 1e6} MB, {stored / 1e3:,.0f} KB stored, one a file, to"
        f" {' and '.join(TABLES)}.\n"
    )
    rows = []
    for way, figure in zip(ways, figures, strict=True):
        share = medians[way.name] / medians[way.of] if way.of else 0.0
        goal = f"{share:.2f} of {way.of}, goal {way.goal}" if way.of else ""
        reached = "reached" if way.goal and share >= way.goal else "missed" if way.goal else ""
        spread = f"{min(figure.samples):,.0f} to {max(figure.samples):,.0f}"
        most = str(max(figure.fetchers))
        spent = f"{statistics.median(figure.cpu_ms):.2f}"
        rows.append((way.name, f"{figure.median:,.0f}", spread, spent, most, f"{goal} {reached}"))
    print(report.table(("way", "MB/s", "from to", "CPU ms a ledger", "fetchers", "goal"), rows, texts=1))
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    print(
        f"A ledger appears, its rows are in hand: p50 {statistics.median(took):.0f} ms, p99 {p99:.0f} ms"
        f" (goal 250), {len(took)} ledgers, poll every {POLL * 1_000:.0f} ms.\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
