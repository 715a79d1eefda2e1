"""One trace goes with a chunk through every service that sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest

import stellarrow as sa
from fakes.otlp import Collector, Received
from fakes.process import free_port
from stellarrow.consumer.consumer import Consumer
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.consumer.stats import ConsumerMetrics, Stats
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.net.address import Address
from stellarrow.net.resilience import Guard, Policy
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.processor.processor import Options, Processor
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.servers.raw.flight import RawLedgerFlight
from stellarrow.servers.raw.grpc import RawLedgerServer
from stellarrow.servers.raw.relay import Relay
from stellarrow.servers.raw.verified import SoundLedgers
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sources.files import FileSource
from stellarrow.sources.flight import FlightSource
from stellarrow.sources.grpc import GrpcSource
from stellarrow.telemetry.metrics import Metrics
from stellarrow.telemetry.trace_export import exported

ANYWHERE = Address("127.0.0.1", 0)
NETWORK = sa.Network.of("synthetic")
SECONDS = 120.0
SOURCE_STEPS = ["check", "fetch"]
SERVER, CLIENT = 2, 3  # kinds of spans in OTLP
PROCESSOR_STEPS = ["commit", "decode", "receive", "write"]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Return a collector that this process and its children are told of."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with Collector() as listening:
        for name, value in listening.environment().items():
            monkeypatch.setenv(name, value)
        yield listening


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Four files of five ledgers each, 100 to 119."""
    folder = tmp_path / "lake"
    folder.mkdir()
    chain = synthetic(5, first=100, ledger_bytes=4_000)
    for first in range(100, 120, 5):
        (folder / f"{first}.xdr").write_bytes(frame([*islice(chain, 5)], "record-marked"))
    return folder


@contextmanager
def relayed(lake: Path, folder: Path) -> Iterator[Relay]:
    with closing(FileSource(lake)) as source:
        sound = SoundLedgers(source, network=NETWORK, letters=DeadLetters(folder))
        relay = Relay(source, sound, source_type="files", budget=64 << 20, metrics=Metrics())
        relay.start()
        with closing(relay):
            yield relay


@contextmanager
def consuming(address: Address, database: str) -> Iterator[Stats]:
    stop, stats = threading.Event(), Stats()
    with closing(PostgresSink(database, ["ledgers"], network="synthetic", mode="live")) as sink:
        consumer = Consumer(
            FlightTable(address, "ledgers"),
            sink,
            table="ledgers",
            flush_interval=0.05,
            guard=Guard("processor", Policy(attempts=None), stop=stop),
            stop=stop,
            metrics=ConsumerMetrics(Metrics()),
            stats=stats,
        )
        thread = threading.Thread(target=consumer.run)
        thread.start()
        try:
            yield stats
        finally:
            stop.set()
            thread.join(SECONDS)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def by_trace(spans: list[Received], *, beside: tuple[str, ...] = ()) -> dict[str, list[Received]]:
    found: dict[str, list[Received]] = {}
    for one in spans:
        if one.name not in beside:
            found.setdefault(one.trace, []).append(one)
    return found


def serving(scheme: str, relay: Relay) -> RawLedgerServer | RawLedgerFlight:
    if scheme == "flight":
        origin = {"source_type": "files", "source_url": "lake"}
        return RawLedgerFlight(ANYWHERE, relay, network=NETWORK, **origin)  # type: ignore[arg-type]
    server = RawLedgerServer(ANYWHERE, relay, network=NETWORK)
    server.start()
    return server


@contextmanager
def chained(scheme: str, lake: Path, folder: Path, database: str) -> Iterator[None]:
    """Bring all ledgers from the lake into the database, through a source and a processor of this process."""
    kind = GrpcSource if scheme == "grpc" else FlightSource
    with relayed(lake, folder / "letters") as relay, closing(serving(scheme, relay)) as server:
        options = Options(state_dir=folder / "state", network=NETWORK, tables=("ledgers",))
        with (
            closing(Processor(lambda: kind(f"{scheme}://{server.address}"), options)) as processor,
            closing(FlightServer(ANYWHERE, processor)) as flight,
            consuming(flight.address, database) as stats,
        ):
            processor.start(100, 119)
            until(lambda: stats.committed_ledger == 119)
            yield
            processor.drain()


def is_whole(collector: Collector) -> bool:
    """Tell whether every chunk was committed by the processor, and then by the consumer."""
    commits = by_trace(collector.named("commit"))
    roots = collector.named("fetch")
    return len(roots) >= 4 and all(len(commits.get(one.trace, ())) == 2 for one in roots)


@pytest.mark.parametrize("scheme", ["grpc", "flight"])
def test_a_chunk_is_one_trace_through_source_processor_and_consumer(
    scheme: str, collector: Collector, lake: Path, tmp_path: Path, database: str
) -> None:
    with exported("stellarrow-test"):
        with chained(scheme, lake, tmp_path, database):
            collector.wait_for(lambda: is_whole(collector))
        collector.wait_for(lambda: {"DoGet", "DoGet ledgers@1.0"} <= {one.name for one in collector.spans})
    whole = by_trace([*collector.spans])
    roots = collector.named("fetch")
    assert {100, 105, 110, 115} <= {one.attributes["stellarrow.first_ledger"] for one in roots}
    for root in roots:
        names = sorted(span.name for span in whole[root.trace])
        if names.count("write") == 1:  # the consumer wrote it together with a newer chunk
            names.append("write")
        assert sorted(names) == sorted([*SOURCE_STEPS, *PROCESSOR_STEPS, "commit", "write"])
        (received,) = (span for span in whole[root.trace] if span.name == "receive")
        assert received.parent == root.span
        assert received.attributes["stellarrow.first_ledger"] == root.attributes["stellarrow.first_ledger"]
    calls = {one.span for one in collector.spans if one.kind == CLIENT}
    served = {one.parent for one in collector.spans if one.kind == SERVER}
    assert served
    assert served <= calls


def test_a_source_that_records_nothing_leaves_the_trace_to_begin_at_the_processor(
    collector: Collector, lake: Path, tmp_path: Path
) -> None:
    with relayed(lake, tmp_path / "letters") as relay:
        ledgers = [one for group in relay.streams(100, 119) for one in group]
    assert {one.trace for one in ledgers} == {""}
    with exported("stellarrow-test"), closing(FileSource(lake)) as source:
        sa.run(source, tables=["ledgers"], sinks=[f"parquet:{tmp_path / 'out'}"], network="synthetic")
        collector.wait_for(lambda: len(collector.named("fetch")) == 4)


@pytest.mark.slow
def test_services_that_run_apart_tell_one_trace_together(
    collector: Collector, lake: Path, tmp_path: Path, database: str
) -> None:
    names = ("raw", "flight", "source", "control", "tables", "processor", "consumer")
    at = dict(zip(names, addresses(len(names)), strict=True))
    source = ["source", "serve", f"--source={lake}", "--network=synthetic", f"--grpc-address={at['raw']}"]
    source += [f"--flight-address={at['flight']}", f"--health-port={at['source']}"]
    processor = ["processor", "serve", f"--source-endpoint={at['raw']}", "--network=synthetic"]
    processor += ["--tables=ledgers", "--start-ledger=100", "--end-ledger=119"]
    processor += [f"--grpc-address={at['control']}", f"--flight-address={at['tables']}"]
    processor += [f"--health-port={at['processor']}"]
    consumer = ["sink", "postgres", "serve", f"--flight-endpoint={at['tables']}", "--network=synthetic"]
    consumer += ["--tables=ledgers", f"--metrics-port={at['consumer']}", "--db-flush-interval=50ms"]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name, words in (("source", source), ("processor", processor), ("consumer", consumer)):
            argv = [sys.executable, "-m", "stellarrow.cli", *words, f"--state-dir={tmp_path / name}"]
            environ = {**os.environ, "DATABASE_URL": database}
            with (tmp_path / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen(argv, env=environ, stdout=log, stderr=log))
            until(lambda: is_ready(at[name]) or running[-1].poll() is not None)  # noqa: B023  called at once
            assert running[-1].poll() is None, (tmp_path / f"{name}.log").read_text()
        until(lambda: stored(database) == 20)
        collector.wait_for(lambda: {one.service for one in whole_trace(collector)} == SERVICES)
        for process in reversed(running):
            process.terminate()
            assert process.wait(SECONDS) == 0
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


def addresses(count: int) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add(f"127.0.0.1:{free_port()}")
    return [*found]


SERVICES = {"stellarrow-source", "stellarrow-processor", "stellarrow-consumer"}


def whole_trace(collector: Collector) -> list[Received]:
    """Return the spans of the trace that most services had a part in."""
    traces = by_trace([*collector.spans], beside=("DoGet", "StreamRawLedgers"))
    return max(traces.values(), key=lambda spans: len({one.service for one in spans}), default=[])


def is_ready(address: str) -> bool:
    try:
        with urlopen(f"http://{address}/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def stored(database: str) -> int:
    with psycopg.connect(database) as connection:
        made = connection.execute("SELECT to_regclass('stellar.ledgers')").fetchone()
        if not made or made[0] is None:
            return 0
        row = connection.execute("SELECT count(*) FROM stellar.ledgers").fetchone()
    return int(row[0]) if row else 0
