"""`sink postgres serve` as a process: beside a fake processor, and between a real one and a database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path

import psycopg
import pytest

import stellarrow as sa
from fakes.process import free_port
from fakes.processor import Processor
from processor.serving import Serving
from sinks.postgres.made import asked, folded, states
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.sources.files import FileSource

from .test_consumer import SYNTHETIC, ledgers, pieces, twice, until


def http(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionError:
        return 0, ""
    finally:
        connection.close()


def test_the_service_consumes_tells_how_it_is_and_ends_with_everything_durable(
    processor: Processor, database: str
) -> None:
    processor.pieces += pieces(1, 10)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "stellarrow.cli",
        "sink",
        "postgres",
        "serve",
        "--metrics-port",
        str(port),
    ]
    settings = {
        **os.environ,
        "NETWORK_PASSPHRASE": "synthetic",
        "FLIGHT_ENDPOINT": processor.endpoint,
        "DATABASE_URL": database,
        "COMMIT_INTERVAL": "1000s",
    }
    process = subprocess.Popen(command, env=settings, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: http(port, "/ready")[0] == 200)
        until(lambda: json.loads(http(port, "/stats")[1])["records_received"] == 20)
        assert json.loads(http(port, "/health")[1])["status"] == "healthy"
        metrics = http(port, "/metrics")[1]
        assert "postgresql_consumer_records_received_total 20.0" in metrics
        assert "ledgers_received_total 10.0" in metrics
        assert ledgers(database) == []  # the interval has not passed
        process.send_signal(signal.SIGTERM)
        _, answer = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, answer
    assert ledgers(database) == twice(1, 10)


def serve(serving: Serving, database: str, *flags: str) -> subprocess.Popen[str]:
    """Start the service between a real processor and a database."""
    command = [sys.executable, "-m", "stellarrow.cli", "sink", "postgres", "serve", "--network", "synthetic"]
    command += ["--metrics-port", ":0", "--db-flush-interval", "100ms", "--database-url", database]
    command += ["--flight-endpoint", str(serving.flight), *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    write_lake(
        folder, islice(synthetic(20, first=100, ledger_bytes=30_000), 60), first=100, network=SYNTHETIC
    )
    return folder


@pytest.mark.parametrize("flags", [[], ["--start-ledger", "110", "--end-ledger", "149"]])
def test_what_a_real_processor_serves_arrives_exactly(
    lake: Path, tmp_path: Path, database: str, flags: list[str]
) -> None:
    session = ["--start-ledger", "100", "--end-ledger", "159", "--batch-size", "7", "--include-deleted"]
    with closing(Serving(lake, tmp_path / "state", "--network", "synthetic", *session)) as serving:
        process = serve(serving, database, *flags)
        try:
            first, last = (110, 149) if flags else (100, 159)
            until(lambda: set(ledgers(database)) >= {last}, seconds=60)
            if not flags:
                process.send_signal(signal.SIGTERM)
            _, answer = process.communicate(timeout=30)  # the end of a range ends it
        finally:
            process.kill()
    assert process.returncode == 0, answer
    decoder = sa.Decoder(["contract_data"], network="synthetic")
    chunks = FileSource(lake).read(sa.LedgerRange(first, last))
    golden = [row for chunk in chunks for row in decoder(chunk).tables["contract_data"].to_pylist()]
    columns = ", ".join(golden[0])
    key = ", ".join(sa.keys("contract_data"))
    assert asked(database, f"SELECT {columns} FROM contract_data.entries ORDER BY {key}") == golden
    assert states(database) == folded(golden)


SESSION = ("--network", "synthetic", "--start-ledger", "100", "--end-ledger", "159")


def test_several_tables_arrive_exactly(lake: Path, tmp_path: Path, database: str) -> None:
    places = {"contract_data": "contract_data.entries", "contract_events": "stellar.contract_events"}
    with closing(Serving(lake, tmp_path / "state", *SESSION, "--tables", ",".join(places))) as serving:
        process = serve(serving, database, "--tables", ",".join(places))
        try:
            until(lambda: {str(held) for held in coverage(database)} == {"{[100,160)}"}, seconds=60)
            process.send_signal(signal.SIGTERM)
            _, answer = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, answer
    assert "all up to ledger 159 is durable" in answer
    decoder = sa.Decoder(list(places), network="synthetic")
    batches = [decoder(chunk) for chunk in FileSource(lake).read(sa.LedgerRange(100, 159))]
    for name, place in places.items():
        golden = [row for batch in batches for row in batch.tables[name].to_pylist()]
        columns = ", ".join(golden[0])
        key = ", ".join(f"{one} NULLS FIRST" for one in sa.keys(name) if one != "stage")
        assert asked(database, f"SELECT {columns} FROM {place} ORDER BY {key}") == golden, name


def coverage(database: str) -> list[str]:
    try:
        found = asked(database, "SELECT ledgers::text FROM contract_data.ledger_coverage")
    except psycopg.errors.UndefinedTable:
        return []
    return [row["ledgers"] for row in found]


def test_a_table_that_the_sessions_do_not_keep_ends_the_service_with_the_reason(
    lake: Path, tmp_path: Path, database: str
) -> None:
    with closing(Serving(lake, tmp_path / "state", *SESSION, "--tables", "contract_data")) as serving:
        process = serve(serving, database, "--tables", "contract_data,ttl")
        try:
            _, answer = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1
    assert "refuses ttl@1.0: sessions do not keep ttl@1.0" in answer
    assert "Detail" not in answer


@pytest.mark.slow
def test_two_consumers_on_one_database_leave_each_row_once_whichever_of_them_dies(
    lake: Path, tmp_path: Path, database: str
) -> None:
    with closing(Serving(lake, tmp_path / "state", *SESSION, "--batch-size", "3")) as serving:
        processes = [serve(serving, database), serve(serving, database)]
        try:
            until(lambda: len(set(ledgers(database))) >= 3, seconds=120)
            processes[0].kill()
            processes[0].communicate()
            processes[0] = serve(serving, database)
            until(lambda: set(ledgers(database)) >= {159}, seconds=120)
            assert [process.poll() for process in processes] == [None, None]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
    decoder = sa.Decoder(["contract_data"], network="synthetic")
    chunks = FileSource(lake).read(sa.LedgerRange(100, 159))
    golden = [row for chunk in chunks for row in decoder(chunk).tables["contract_data"].to_pylist()]
    columns = ", ".join(golden[0])
    key = ", ".join(sa.keys("contract_data"))
    assert asked(database, f"SELECT {columns} FROM contract_data.entries ORDER BY {key}") == golden
    assert states(database) == folded(golden)
