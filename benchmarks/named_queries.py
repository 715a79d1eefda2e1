"""Measure what a named filter costs while ledgers are decoded, and what a kept answer saves.

    python benchmarks/named_queries.py [LEDGERS]

The ledgers are synthetic, of 200 kB each. Each time is the median of interleaved rounds, of one thread.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path

import machine
from pyarrow import flight

import stellarrow as sa
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.sources.files import FileSource

ROUNDS = 7
TABLE = ["token_transfers"]
FILTERS = ("large_amounts", "successful_payments")


def median(calls: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median seconds of each call, all of them in turn."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            took[name].append(time.perf_counter() - began)
    return {name: statistics.median(times[1:]) for name, times in took.items()}


def in_flight(ledgers: list[bytes]) -> None:
    data = b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers)
    rows = sa.decode(data, TABLE, network="synthetic")["token_transfers"].num_rows
    calls: dict[str, Callable[[], object]] = {
        "no filter": lambda: sa.decode(data, TABLE, network="synthetic")
    }
    for name in FILTERS:
        calls[name] = partial(sa.decode, data, TABLE, network="synthetic", filter=name)
    took = median(calls)
    print(f"decoding {len(data) / 1e6:.0f} MB of {len(ledgers)} ledgers, {rows:,} transfers, in one call:")
    for name, seconds in took.items():
        change = (seconds / took["no filter"] - 1) * 100
        print(f"  {name:<20} {seconds * 1e3:8.1f} ms  {len(data) / seconds / 1e6:7.0f} MB/s  {change:+.0f} %")


def kept(lake: Path, first: int, last: int) -> None:
    with tempfile.TemporaryDirectory() as state, ExitStack() as stack:
        network = sa.Network.of("synthetic")
        options = Options(state_dir=Path(state), network=network)
        processor = stack.enter_context(closing(Processor(lambda: FileSource(lake), options)))
        server = stack.enter_context(closing(FlightServer(Address("127.0.0.1", 0), processor)))
        client = stack.enter_context(flight.connect(f"grpc://{server.address}"))
        command = {"aggregate": "volume_by_asset", "start_ledger": first, "end_ledger": last, "window": "1h"}

        def ask(**other: str) -> object:
            return client.do_get(flight.Ticket(json.dumps(command | other).encode())).read_all()

        numbers = iter(range(1_000_000))
        calls: dict[str, Callable[[], object]] = {
            "computed": lambda: ask(where=f"amount_raw > {next(numbers)}"),
            "out of the cache": ask,
        }
        for name, seconds in median(calls).items():
            print(f"  volume_by_asset over Flight, {name:<17} {seconds * 1e3:8.1f} ms")


def main() -> None:
    """Print every figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(json.dumps(machine.describe()))
    made = list(islice(synthetic(7, first=100, ledger_bytes=200_000), count))
    in_flight(made)
    with tempfile.TemporaryDirectory() as folder:
        write_lake(Path(folder) / "lake", iter(made), first=100, network=sa.Network.of("synthetic"))
        kept(Path(folder) / "lake", 100, 99 + count)


if __name__ == "__main__":
    main()
