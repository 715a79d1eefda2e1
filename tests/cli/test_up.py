"""`stellarrow up` and `stellarrow watch`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pyarrow import ArrowException, flight

from fakes.process import free_port
from stellarrow.net.credentials import ClientCredentials
from stellarrow.net.http_request import ask
from stellarrow.sinks.postgres.embedded import find_binaries

PROGRAM = (sys.executable, "-m", "stellarrow.cli")


ANSWERS = ("rest_port", "websocket_port", "flight_address")


@pytest.fixture
def ports(tmp_path: Path) -> dict[str, int]:
    """Free ports for both services, as the settings file in the folder says."""
    names = ("grpc_address", "flight_address", "health_port")
    chosen = {f"{service} {name}": free_port() for service in ("source", "processor") for name in names}
    del chosen["source health_port"]  # how all are is told at the processor's
    lines = []
    for service in ("source", "processor"):
        lines.append(f"[{service}]")
        keys = [name for name in names if f"{service} {name}" in chosen]
        lines += [f'{name} = ":{chosen[f"{service} {name}"]}"' for name in keys]
    chosen["analytics rest_port"] = free_port()
    chosen["analytics websocket_port"] = free_port()
    chosen["analytics flight_address"] = free_port()
    lines += ["[analytics]"]
    lines += [f'{name} = ":{chosen[f"analytics {name}"]}"' for name in ANSWERS]
    (tmp_path / "stellarrow.toml").write_text("\n".join(lines))
    return chosen


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_up_serves_the_bundled_ledgers_and_fills_a_sink(tmp_path: Path, ports: dict[str, int]) -> None:
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*PROGRAM, "up"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        client = flight.connect(f"grpc://127.0.0.1:{ports['processor flight_address']}")
        deadline = time.monotonic() + 40
        ledgers: list[int] = []
        while sorted(ledgers) != [53_312_000, 58_752_000]:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            try:
                table = client.do_get(flight.Ticket(b'{"table": "ledgers", "follow": false}')).read_all()
                ledgers = table["ledger_sequence"].to_pylist()
            except (ArrowException, flight.FlightError):
                time.sleep(0.1)
        watched = run(tmp_path, "watch", "--once", "--at", f":{ports['processor health_port']}")
        assert watched.returncode == 0, watched.stderr
        assert "58752000" in watched.stdout
        assert "token_transfers" in watched.stdout
        client.close()
        url = f"http://127.0.0.1:{ports['analytics rest_port']}/v1/status"
        while json.loads(ask("GET", url, timeout=5).body)["as_of_ledger"] != 58_752_000:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        assert_one_address_tells_how_all_are(ports["processor health_port"])
        assert f"Open http://127.0.0.1:{ports['analytics rest_port']}/ " in (tmp_path / "log").read_text()
    finally:
        process.terminate()
        assert process.wait(15) == 0, (tmp_path / "log").read_text()
    assert (tmp_path / "log").read_text().splitlines()[-1].startswith("stopped: ")
    stored = (tmp_path / "stellarrow-data" / "up" / "ledgers").glob("*.parquet")
    assert sum(pq.read_metadata(path).num_rows for path in stored) == 2


def assert_one_address_tells_how_all_are(port: int) -> None:
    told = json.loads(ask("GET", f"http://127.0.0.1:{port}/health", timeout=5).body)
    assert {"sessions", "source: source", "analytics: tables"} <= set(told["components"])
    text = ask("GET", f"http://127.0.0.1:{port}/metrics", timeout=5).body.decode()
    families = list(text_string_to_metric_families(text))
    assert len({one.name for one in families}) == len(families)
    services = {
        sample.labels.get("service", "")
        for one in families
        for sample in one.samples
        if sample.name == "ledgers_processed_total"
    }
    assert {"", "source"} <= services
    missing = next(one for one in families if one.name == "missing_ledgers")
    told = {sample.labels["place"].partition(":")[0]: sample.value for sample in missing.samples}
    assert told["parquet"] == told["sessions"] == 0


def test_who_may_come_in_holds_for_the_sources_servers_too(tmp_path: Path, ports: dict[str, int]) -> None:
    with (tmp_path / "log").open("w") as log:
        words = [*PROGRAM, "up", "--auth", "api_key", "--state-dir", "kept", "--to", "parquet:./out"]
        process = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 40
        url = f"http://127.0.0.1:{ports['processor health_port']}/metrics"
        status = 0
        while not status:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            try:
                status = ask("GET", url, timeout=5).status
            except OSError:
                time.sleep(0.1)
        assert status == 401
        made = run(tmp_path, "keys", "create", "me", "--role", "reader", "--state-dir", "kept")
        token = made.stdout.strip()
        assert ask("GET", url, timeout=5, credentials=ClientCredentials.of(token=token)).status == 200
        with flight.connect(f"grpc://127.0.0.1:{ports['source flight_address']}") as client:
            with pytest.raises(flight.FlightUnauthenticatedError):
                list(client.list_flights())
            headers = [(b"authorization", f"Bearer {token}".encode())]
            assert list(client.list_flights(options=flight.FlightCallOptions(headers=headers)))
    finally:
        process.terminate()
        assert process.wait(15) == 0, (tmp_path / "log").read_text()


def test_services_says_what_would_listen_where(tmp_path: Path, ports: dict[str, int]) -> None:
    done = run(tmp_path, "up", "--services")
    assert done.returncode == 0
    assert all(f"127.0.0.1:{port}" in done.stdout for port in ports.values())


@pytest.mark.parametrize("flags", [("--services",), ()])
def test_two_servers_on_one_address_are_told_apart(
    tmp_path: Path, ports: dict[str, int], flags: tuple[str, ...]
) -> None:
    port = ports["analytics rest_port"]
    done = run(tmp_path, "up", "--health-port", f":{port}", "--to", "parquet:./out", *flags)
    both = f"health_port of processor and rest_port of analytics are both 127.0.0.1:{port}"
    assert (done.returncode, done.stderr) == (2, f"error: {both}: choose another for one\n")


def test_watching_nobody_is_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "watch", "--once", "--at", f":{free_port()}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no processor answers on http://127.0.0.1:")


@pytest.fixture
def passable() -> Iterator[Path]:
    """A folder that the account PostgreSQL runs as may enter."""
    with TemporaryDirectory(prefix="stellarrow-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(find_binaries() is None, reason="no PostgreSQL is installed")
def test_up_brings_a_database_of_its_own(passable: Path, ports: dict[str, int], tmp_path: Path) -> None:
    (passable / "stellarrow.toml").write_text((tmp_path / "stellarrow.toml").read_text())
    log = passable / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*PROGRAM, "up", "--to", "postgres:"], cwd=passable, stdout=out, stderr=out
        )
    try:
        deadline = time.monotonic() + 40
        while "2 ledgers written" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        url = re.search(r"postgresql://\S+", log.read_text())
        assert url, ports
        with psycopg.connect(url[0]) as connection:
            found = connection.execute("SELECT count(*) FROM stellar.ledgers").fetchone()
        assert found == (2,)
    finally:
        process.terminate()
        assert process.wait(15) == 0, log.read_text()
