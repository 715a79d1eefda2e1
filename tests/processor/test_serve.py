"""The processor as a service: killed, ended, started twice, asked by many."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from pyarrow import ArrowException, flight

import stellarrow as sa
from fakes.raw_ledgers import RawLedgers, serving
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.net.flight_client import connect

from .conftest import Tables
from .serving import Serving
from .test_sessions import until

FIRST, LAST = 100, 399
Serve = Callable[..., Serving]
Golden = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def made() -> list[bytes]:
    """Three hundred ledgers, 100 to 399."""
    return list(islice(synthetic(50, first=FIRST, ledger_bytes=30_000), LAST - FIRST + 1))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, made: list[bytes]) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    write_lake(folder, iter(made), first=FIRST, network=sa.Network.of("synthetic"))
    return folder


@pytest.fixture
def serve(lake: Path, tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(*flags: str, source: Path | str = lake) -> Serving:
            return stack.enter_context(closing(Serving(source, tmp_path / "state", *flags)))

        yield start


@pytest.fixture(scope="module")
def golden(made: list[bytes]) -> Callable[[str], list[dict[str, Any]]]:
    """What decoding says."""
    data = frame(made, "record-marked")

    def rows(table: str) -> list[dict[str, Any]]:
        kept: list[dict[str, Any]] = sa.decode(data, [table], network="synthetic")[table].to_pylist()
        return kept

    return rows


def fetched(service: Serving, path: str) -> Any:
    with urlopen(f"http://{service.addresses['health-port']}{path}", timeout=10) as answer:
        content = answer.read().decode()
    return content if path == "/metrics" else json.loads(content)


def follow(address: Any, table: str, *, patience: float = 60.0) -> list[dict[str, Any]]:
    """Read a table to its end, coming back with the last token whenever the server has gone."""
    rows: list[dict[str, Any]] = []
    origin = "earliest"
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with closing(flight.connect(f"grpc://{address}")) as client:
            ticket = json.dumps({"table": table, "from": origin}).encode()
            try:
                for chunk in client.do_get(flight.Ticket(ticket), flight.FlightCallOptions(timeout=patience)):
                    answer = json.loads(chunk.app_metadata.to_pybytes())
                    rows += chunk.data.to_pylist()
                    origin = answer["resume"]
                    if answer["last_ledger"] == LAST and answer["complete"]:
                        return rows
            except (ArrowException, flight.FlightError):
                time.sleep(0.05)
    raise AssertionError(f"{len(rows)} rows of {table} in {patience} s")


@pytest.mark.parametrize(
    ("kills", "bad"),
    [
        (3, set()),
        (3, {101, 198, 199, 200, 300}),
        pytest.param(50, {150, 151, 300}, marks=pytest.mark.slow),
    ],
)
def test_readers_of_a_processor_that_is_killed_end_with_exactly_the_golden_rows(
    serve: Serve, made: list[bytes], golden: Golden, kills: int, bad: set[int]
) -> None:
    """Of those `bad`, which cannot be decoded, none."""
    given = [one[:-4] if ledger in bad else one for ledger, one in enumerate(made, FIRST)]
    chain = RawLedgers([], first=FIRST)
    tables = ("contract_data", "contract_events", "ledgers")
    pause = random.Random(kills)  # noqa: S311
    with serving(chain) as port, ThreadPoolExecutor(len(tables)) as pool:
        flags = ("--batch-size=10", "--network=synthetic", "--on-error=quarantine")
        ends = (f"--start-ledger={FIRST}", f"--end-ledger={LAST}")
        service = serve(*ends, *flags, source=f"grpc://127.0.0.1:{port}")
        readers = {table: pool.submit(follow, service.flight, table, patience=300) for table in tables}
        for kill in range(kills):
            for ledger in given[len(given) * kill // kills : len(given) * (kill + 1) // kills]:
                chain.add(ledger)
                time.sleep(pause.uniform(0, 0.03))
            service.kill()
            service.start(wait=pause.random() < 0.7)
        for table, reader in readers.items():
            wanted = [row for row in golden(table) if row["ledger_sequence"] not in bad]
            assert reader.result() == wanted, table
        kept = [len(one) for ledger, one in enumerate(made, FIRST) if ledger not in bad]
        until(lambda: fetched(service, "/sessions")[0]["status"] == "STOPPED")
        (session,) = fetched(service, "/sessions")
        rows = [row for row in golden("contract_data") if row["ledger_sequence"] not in bad]
        counts = [session[name] for name in ("ledgers", "entries", "bytes", "current")]
        assert counts == [len(kept), len(rows), sum(kept), LAST]
        letters = sa.DeadLetters(service.state / "dead-letters").entries()
        assert {one.ledger for one in letters} == bad
    assert service.log.read_text().count("continues after ledger") >= kills * 0.6


@pytest.fixture
def stuck() -> Iterator[Callable[[Serving], None]]:
    """Clients that begin streams and take nothing from them, more than the network holds.

    Over a loopback ours does not probe for bandwidth, which would let it hold all there is.
    """
    with ExitStack() as stack:

        def begin(service: Serving) -> None:
            client = stack.enter_context(closing(connect(str(service.flight), secure=False)))
            for _ in range(3):
                stream = client.do_get(flight.Ticket(b'{"table": "contract_events"}'))
                stream.read_chunk()
                stack.callback(stream.cancel)

        yield begin


def ready(service: Serving) -> int:
    """Return the status that /ready answers with."""
    try:
        fetched(service, "/ready")
    except HTTPError as error:
        with error:
            return error.code
    return 200


def test_sigterm_ends_within_ten_seconds_even_with_clients_that_never_read(
    serve: Serve, stuck: Callable[[Serving], None], tmp_path: Path
) -> None:
    heavy = tmp_path / "heavy"
    made = islice(synthetic(50, first=FIRST, ledger_bytes=400_000), 100)
    write_lake(heavy, made, first=FIRST, network=sa.Network.of("synthetic"))
    first, last = f"--start-ledger={FIRST}", f"--end-ledger={FIRST + 99}"
    service = serve(first, last, "--tables=contract_events,ledgers", source=heavy)
    while fetched(service, "/sessions")[0]["status"] != "STOPPED":
        time.sleep(0.05)
    stuck(service)
    assert Tables(service.flight).path("ledgers").num_rows == 100  # they hold nobody up
    ended: list[tuple[int, float]] = []
    ending = threading.Thread(target=lambda: ended.append(service.end()))
    ending.start()
    while (state := ready(service)) == 200:
        time.sleep(0.02)
    assert state == 503  # while it drains
    ending.join()
    ((code, took),) = ended
    assert code == 0
    assert 1 < took < 10
    assert "a client takes nothing" in service.log.read_text()


def test_sessions_go_on_behind_what_is_durable_when_the_service_starts_again(
    serve: Serve, golden: Golden
) -> None:
    service = serve(f"--start-ledger={FIRST}", f"--end-ledger={LAST}")
    assert service.end()[0] == 0
    service.start()
    assert follow(service.flight, "ledgers") == golden("ledgers")
    assert service.log.read_text().count("RUNNING") <= 1  # it is the same session


def test_a_second_processor_on_the_folder_is_refused_and_told_of_the_first(serve: Serve) -> None:
    service = serve()
    second = subprocess.run(
        [*service.argv, "--grpc-address=:0"], capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 2
    assert "is in use by process" in second.stderr
    assert f"gRPC {service.addresses['grpc-address']}" in second.stderr


def test_health_says_how_the_parts_are_and_metrics_have_the_names_dashboards_know(serve: Serve) -> None:
    service = serve(f"--start-ledger={FIRST}", f"--end-ledger={LAST}")
    follow(service.flight, "ledgers")
    health = fetched(service, "/health")
    assert health["status"] == "healthy"
    assert set(health["components"]) == {"sessions", "spool", "stored", "source", "ranges"}
    assert health["components"]["sessions"]["metrics"]["decode_p99_ms"] > 0
    text = fetched(service, "/metrics")
    assert f'ledgers_processed_total{{source_type="files",status="success"}} {LAST - FIRST + 1}.0' in text
    assert f'current_ledger{{source_type="files"}} {LAST}.0' in text
    assert f"ledgers_received_total {LAST - FIRST + 1}.0" in text
    assert "bytes_received_total 0.0" not in text
    (session,) = fetched(service, "/sessions")
    assert (session["current"], session["rows"]["ledgers"]) == (LAST, LAST - FIRST + 1)
    assert fetched(service, "/health/ready") == {"status": "ready"}


def test_a_session_that_failed_degrades_the_service(serve: Serve) -> None:
    service = serve("--start-ledger=7", "--end-ledger=9")
    deadline = time.monotonic() + 60
    while (health := fetched(service, "/health"))["status"] != "degraded":
        assert time.monotonic() < deadline, health
        time.sleep(0.02)
    assert "begins with ledger 100, so there is no ledger 7" in health["components"]["sessions"]["message"]


def test_two_hundred_readers_are_served_at_once(serve: Serve, golden: Golden) -> None:
    service = serve(f"--start-ledger={FIRST}", f"--end-ledger={LAST}", "--tables=ledgers")
    clients = [Tables(service.flight).client for _ in range(20)]
    wanted = golden("ledgers")
    failed: list[Any] = []

    def read(client: flight.FlightClient) -> None:
        table = client.do_get(flight.Ticket(b'{"table": "ledgers"}')).read_all()
        if table.num_rows != len(wanted):
            failed.append(table.num_rows)

    threads = [threading.Thread(target=read, args=(clients[at % 20],)) for at in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert failed == []
    for client in clients:
        client.close()
    assert service.end()[0] == 0
