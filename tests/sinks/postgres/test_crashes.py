"""Killed, cut off or crashed at any moment, and started again: every row once, states and coverage true."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stellarrow as sa
from fakes.postgres import open_folder, url_of
from fakes.process import free_port
from fakes.toxiproxy import Toxiproxy
from sinks.postgres.made import asked, folded, states
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.net.resilience import Policy
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries
from stellarrow.sources.files import FileSource

FIRST, COUNT = 95, 160
TABLES = ("contract_data", "contract_events", "ledgers")
PATIENT = Policy(attempts=60, first_wait=0.05, longest_wait=0.5, failures_to_open=1_000)
RUN = """
import sys
from contextlib import closing
import stellarrow as sa
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sources.files import FileSource
lake, url, mode = sys.argv[1:]
tables = ("contract_data", "contract_events", "ledgers")
choices = {"network": "synthetic", "mode": mode, "batch_rows": 150, "partition_ledgers": 64}
with closing(PostgresSink(url, tables, **choices)) as sink:
    sa.run(FileSource(lake), tables=tables, sinks=[sink], network="synthetic")
"""
Outcome = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    made = islice(synthetic(20, first=FIRST, ledger_bytes=12_000), COUNT)
    write_lake(folder, made, first=FIRST, network=Network.of("synthetic"))
    return folder


@pytest.fixture(scope="module")
def golden(lake: Path) -> Outcome:
    """The rows of an undisturbed decode."""
    source, rows = FileSource(lake), {name: list[dict[str, Any]]() for name in TABLES}
    decoder = sa.Decoder(TABLES, network="synthetic")
    for chunk in source.read(sa.LedgerRange(FIRST, FIRST + COUNT - 1)):
        for name, batch in decoder(chunk).tables.items():
            rows[name] += batch.to_pylist()
    for row in rows["contract_data"]:  # where 39 digits are too many for Arrow, PostgreSQL has room
        row["balance"] = row["balance_text"] and Decimal(row["balance_text"])
    return rows


def bring(lake: Path, url: str, mode: str) -> None:
    """Bring the lake into a database, as patient as a service."""
    choices: dict[str, Any] = {"mode": mode, "batch_rows": 150, "partition_ledgers": 64}
    with closing(PostgresSink(url, TABLES, network="synthetic", policy=PATIENT, **choices)) as sink:
        sa.run(FileSource(lake), tables=TABLES, sinks=[sink], network="synthetic")


def assert_whole(database: str, golden: Outcome) -> None:
    places = {"contract_data": "contract_data.entries"}
    for name, rows in golden.items():
        columns = ", ".join(f'"{one}"' for one in rows[0])
        order = ", ".join(f'"{one}" NULLS FIRST' for one in sa.keys(name) if one != "stage")
        place = places.get(name, f"stellar.{name}")
        assert asked(database, f"SELECT {columns} FROM {place} ORDER BY {order}") == rows, name
    assert states(database) == folded(golden["contract_data"])
    covered = asked(database, "SELECT DISTINCT ledgers::text FROM contract_data.ledger_coverage")
    assert covered == [{"ledgers": f"{{[{FIRST},{FIRST + COUNT})}}"}]
    assert asked(database, "SELECT count(*) FROM stellar.loading") == [{"count": 0}]


def kill_and_compare(
    lake: Path, database: Callable[[], str], golden: Outcome, *, kills: int, mode: str
) -> None:
    began = time.monotonic()
    command = [sys.executable, "-c", RUN, str(lake)]
    subprocess.run([*command, database(), mode], check=True, capture_output=True)
    whole = time.monotonic() - began
    dice = random.Random(11)  # noqa: S311
    killed = 0
    while killed < kills:
        url = database()
        for _ in range(3):
            process = subprocess.Popen(
                [*command, url, mode], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            time.sleep(dice.uniform(0.4, 1.0) * whole)
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        subprocess.run([*command, url, mode], check=True, capture_output=True)
        assert_whole(url, golden)


@pytest.fixture
def databases(postgres: PrivateServer) -> Callable[[], str]:
    """Make database after database."""
    made = iter(range(1_000))

    def make() -> str:
        name = f"crash_{next(made)}_{time.monotonic_ns()}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return url_of(postgres.url, dbname=name)

    return make


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_a_killed_client_leaves_nothing_half_and_goes_on(
    lake: Path, databases: Callable[[], str], golden: Outcome, mode: str
) -> None:
    kill_and_compare(lake, databases, golden, kills=2, mode=mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_a_client_killed_25_times_leaves_nothing_half(
    lake: Path, databases: Callable[[], str], golden: Outcome, mode: str
) -> None:
    kill_and_compare(lake, databases, golden, kills=25, mode=mode)


@pytest.fixture
def fragile() -> Iterator[PrivateServer]:
    """A server that may be crashed."""
    if find_binaries() is None:
        pytest.skip("there is no PostgreSQL to start")
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "fsync": "off"}
    with open_folder() as folder, PrivateServer(folder, settings=settings) as server:
        yield server


def disturbed(work: Callable[[], None], disturb: Callable[[], None], *, seed: int, longest: float) -> None:
    """Do the work, and disturb it at a random moment."""
    failed: list[BaseException] = []

    def done() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=done)
    thread.start()
    time.sleep(random.Random(seed).uniform(0, longest))  # noqa: S311
    disturb()
    thread.join(120)
    if failed:
        raise failed[0]
    assert not thread.is_alive()


def crash_and_compare(lake: Path, server: PrivateServer, golden: Outcome, *, rounds: int) -> None:
    def crash() -> None:
        server.crash()
        time.sleep(0.1)
        server.start()

    began = time.monotonic()
    for at in range(-1, rounds):
        name = f"round_{at + 1}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = url_of(server.url, dbname=name)
        mode = ("live", "backfill")[at % 2]
        if at < 0:
            bring(lake, url, mode)
            whole = time.monotonic() - began
        else:
            disturbed(lambda url=url, mode=mode: bring(lake, url, mode), crash, seed=at, longest=whole)  # type: ignore[misc]
        assert_whole(url, golden)


def test_a_server_that_crashes_is_waited_for(lake: Path, fragile: PrivateServer, golden: Outcome) -> None:
    crash_and_compare(lake, fragile, golden, rounds=2)


def test_a_server_that_crashes_before_the_last_partition_is_attached_is_waited_for(
    lake: Path, fragile: PrivateServer, golden: Outcome
) -> None:
    choices: dict[str, Any] = {"mode": "backfill", "batch_rows": 150, "partition_ledgers": 64}
    with closing(PostgresSink(fragile.url, TABLES, network="synthetic", policy=PATIENT, **choices)) as sink:
        sa.run(FileSource(lake), tables=TABLES, sinks=[sink], network="synthetic")
        fragile.crash()
        back = threading.Timer(0.3, fragile.start)
        back.start()
    back.join()
    assert_whole(fragile.url, golden)


@pytest.mark.slow
def test_a_server_that_crashes_20_times_loses_nothing(
    lake: Path, fragile: PrivateServer, golden: Outcome
) -> None:
    crash_and_compare(lake, fragile, golden, rounds=20)


def cut_and_compare(
    lake: Path, databases: Callable[[], str], golden: Outcome, *, toxiproxy: Toxiproxy, rounds: int
) -> None:
    dice = random.Random(5)  # noqa: S311
    for at in range(rounds):
        url = databases()
        port = psycopg.conninfo.conninfo_to_dict(url)["port"]
        proxy = toxiproxy.proxy(f"postgres-{at}", f"127.0.0.1:{port}")
        host, _, proxied = proxy.address.rpartition(":")
        through = url_of(url, host=host, port=proxied)

        def cut(proxy: Any = proxy) -> None:
            kind = dice.choice(("disable", "reset", "limit"))
            if kind == "disable":
                proxy.disable()
            elif kind == "reset":
                proxy.add("reset_peer", timeout=dice.randrange(50), stream="upstream")
            else:
                proxy.add("limit_data", bytes=dice.randrange(200_000), stream="upstream")
            time.sleep(0.3)
            proxy.heal()

        mode = ("live", "backfill")[at % 2]
        disturbed(lambda url=through, mode=mode: bring(lake, url, mode), cut, seed=at, longest=1.5)  # type: ignore[misc]
        assert_whole(url, golden)
        proxy.delete()


def test_a_cut_connection_is_made_again(
    lake: Path, databases: Callable[[], str], golden: Outcome, toxiproxy: Toxiproxy
) -> None:
    cut_and_compare(lake, databases, golden, toxiproxy=toxiproxy, rounds=2)


@pytest.mark.slow
def test_20_cuts_lose_and_double_nothing(
    lake: Path, databases: Callable[[], str], golden: Outcome, toxiproxy: Toxiproxy
) -> None:
    cut_and_compare(lake, databases, golden, toxiproxy=toxiproxy, rounds=20)
