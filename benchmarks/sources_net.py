"""Measure the sources that talk to servers, on loopback: RPC, gRPC, the raw-ledger service, and following.

Servers and clients are processes of their own and share the machine's cores. MB are 10^6 bytes of raw XDR.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import report
from net_servers import FIRST, QuickNode, make, read_all, running, serve_grpc, serve_rpc, source_service

from fakes import rpc
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.decode import Decoder
from stellarrow.core.framing import frame
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.pipeline.parallel import ordered
from stellarrow.protocols import Source
from stellarrow.sources.grpc import GrpcSource
from stellarrow.sources.rpc import RpcSource

HEAVY = 1_300_000  # bytes a ledger, as in a load test
TABLES = ["contract_data", "contract_events"]
CLIENTS = 4
POLL = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """MB/s of repeated runs, and the goal."""

    label: str
    mb: tuple[float, ...]
    goal: float | None = None

    def row(self) -> list[str]:
        median, best = statistics.median(self.mb), max(self.mb)
        lines = [self.label, f"{median:,.0f}", f"{best:,.0f}"]
        return [*lines, f"{self.goal:,.0f}", report.reached(best, median, self.goal)] if self.goal else lines


def repeated(label: str, work: Callable[[], int], repeat: int, goal: float | None = None) -> Rate:
    """Time work, which returns bytes, after one run that warms up."""
    work()
    rates = []
    for _ in range(repeat):
        began = time.perf_counter()
        rates.append(work() / (time.perf_counter() - began) / 1e6)
    return Rate(label, tuple(rates), goal)


def taken(source: Source, count: int) -> int:
    return sum(len(chunk.data) for chunk in source.read(LedgerRange(FIRST, FIRST + count - 1)))


def decoded(source: Source, count: int) -> int:
    chunks = source.read(LedgerRange(FIRST, FIRST + count - 1))
    decoder = Decoder(TABLES, network="synthetic")
    batches = ordered(chunks, decoder, workers=2, budget=64 << 20, cost=lambda chunk: len(chunk.data))
    return sum(batch.run.size_bytes for batch in batches)


def rpc_rates(count: int, repeat: int) -> Iterator[Rate]:
    with running(serve_rpc, count, HEAVY) as (_, url), closing(RpcSource([url])) as source:
        yield repeated("RPC, XDR in hand", lambda: taken(source, count), repeat, 150)
        yield repeated("RPC, two tables decoded", lambda: decoded(source, count), repeat)


def grpc_rates(count: int, repeat: int) -> Iterator[Rate]:
    with running(serve_grpc, count, HEAVY) as (_, url), closing(GrpcSource(url)) as source:
        yield repeated("gRPC, XDR in hand", lambda: taken(source, count), repeat, 400)
        yield repeated("gRPC, two tables decoded", lambda: decoded(source, count), repeat)


def service_rates(count: int, repeat: int, scratch: Path) -> Iterator[Rate]:
    """Let four clients read the same ledgers at once from `stellarrow source serve`."""
    ledgers = make(count, HEAVY)
    write_lake(scratch / "lake", iter(ledgers), first=FIRST, network=Network.of("synthetic"))
    plain = scratch / "plain"
    plain.mkdir()
    for number, ledger in enumerate(ledgers, FIRST):
        (plain / f"{0xFFFFFFFF - number:08X}--{number}.xdr").write_bytes(frame([ledger], "batch"))
    (plain / ".config.json").write_bytes((scratch / "lake" / ".config.json").read_bytes())
    for label, folder, goal in (
        ("service over a lake (zstd), four clients together", scratch / "lake", 800.0),
        ("service over plain files, four clients together", plain, 800.0),
    ):
        with source_service(str(folder), scratch / "state") as url:
            yield four(label, url, count, repeat, goal)
    window = 100  # of 1.3 MB: they fit into the window at the live edge
    with (
        running(serve_rpc, window, HEAVY) as (_, node),
        source_service(f"rpc+{node}", scratch / "state") as url,
    ):
        yield four("service over RPC, four clients together", url, window, repeat, None)


def four(label: str, url: str, count: int, repeat: int, goal: float | None) -> Rate:
    with ExitStack() as stack:
        clients = [stack.enter_context(running(read_all, url, FIRST, count))[0] for _ in range(CLIENTS)]

        def together() -> int:
            for client in clients:
                client.send(True)
            return sum(client.recv() for client in clients)

        return repeated(label, together, repeat, goal)


class Watched(QuickNode):
    """A node that remembers when each ledger was first given."""

    def __init__(self, ledgers: list[bytes]) -> None:
        super().__init__(ledgers)
        self.given: dict[int, float] = {}

    def answer(self, request: dict[str, Any]) -> rpc.Answer:
        began = time.perf_counter()
        answer = super().answer(request)
        if request["method"] == "getLedgers" and len(answer[2]) > HEAVY:
            self.given.setdefault(self.latest, began)
        return answer


def follow_latency(count: int) -> list[float]:
    """Return ms from the request that first could bring a ledger to its decoded rows."""
    ledgers = make(count + 1, HEAVY)
    node = Watched(ledgers[:1])
    done: dict[int, float] = {}
    finished = threading.Event()
    with rpc.serving(node), closing(RpcSource([node.url], poll=POLL)) as source:

        def follow() -> None:
            decoder = Decoder(TABLES, network="synthetic")
            batches = ordered(
                source.read(LedgerRange(FIRST)), decoder, workers=2, budget=64 << 20, cost=lambda _: 1
            )
            for batch in batches:
                done[batch.last] = time.perf_counter()
                if batch.last == FIRST + count:
                    finished.set()

        threading.Thread(target=follow, daemon=True).start()
        for ledger in ledgers[1:]:
            time.sleep(POLL * 1.07)  # drifts through the poll's phases
            node.add(ledger)
        finished.wait(10)
    return [1000 * (done[number] - node.given[number]) for number in done if number in node.given]


def percentile(values: list[float], share: float) -> float:
    ordered_values = sorted(values)
    return ordered_values[min(len(values) - 1, int(share * len(values)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--ledgers", type=int, default=200, help="of 1.3 MB")
    parser.add_argument("--follow", type=int, default=60, help="ledgers to follow, one a second; 0 for none")
    options = parser.parse_args()
    described = machine.describe()
    print(report.table(("machine", ""), described.items(), texts=2))
    rows = []
    with tempfile.TemporaryDirectory(prefix="stellarrow-bench-") as scratch:
        for rates in (
            rpc_rates(options.ledgers, options.repeat),
            grpc_rates(options.ledgers, options.repeat),
            service_rates(options.ledgers, options.repeat, Path(scratch)),
        ):
            for rate in rates:
                print(" ".join(rate.row()), file=sys.stderr, flush=True)
                rows.append(rate.row())
    print(report.table(("1.3 MB ledgers", "MB/s median", "best", "goal", "reached"), rows))
    if options.follow:
        took = follow_latency(options.follow)
        p50, p99 = statistics.median(took), percentile(took, 0.99)
        verdict = report.reached(-p99, -p99, -250)
        head = ("following an RPC node", "p50 ms", "p99 ms", "goal", "reached")
        print(report.table(head, [[f"{len(took)} ledgers", f"{p50:.0f}", f"{p99:.0f}", "< 250", verdict]]))
    print(f"Load before the run: {described['load before']}, after: {machine.load()}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
