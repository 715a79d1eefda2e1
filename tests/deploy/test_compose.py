"""deploy/compose.yaml: valid, of settings that exist, and a topology that works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pyarrow import flight
from websockets.sync.client import connect

from deploy.composed import FILE, ROOT, Service, environment_of, filled, read, services
from deploy.tools import tool
from fakes.postgres import open_folder
from fakes.process import free_port
from stellarrow.config import SERVICES
from stellarrow.config import read as read_settings
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries

DEMO = environment_of(ROOT / "deploy" / "demo.env")
PUBNET = {**environment_of(ROOT / "deploy" / "pubnet.env"), "DB_PASSWORD": "x"}
TESTNET = {**environment_of(ROOT / "deploy" / "testnet.env"), "DB_PASSWORD": "x"}
SECONDS = 120.0


def test_every_service_of_ours_is_told_only_settings_that_it_has(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    for given in (DEMO, PUBNET, TESTNET):
        for service in services(given).values():
            if service.command[0] == "synth":
                continue
            kind = SERVICES[service.section]
            environ = {
                name: str(secret) if name.endswith("_FILE") else value
                for name, value in service.environment.items()
            }
            settings = read_settings(kind, environ=environ)
            origins = {origin.split()[0] for origin in settings.origins.values()}
            assert origins == {name for name, value in environ.items() if value}, service.name


def test_who_is_called_by_a_name_is_there_and_listens_on_that_port() -> None:
    every = services(DEMO)
    listens = {
        f"{name}:{value.rpartition(':')[2]}"
        for name, one in every.items()
        for value in one.environment.values()
        if value.startswith("0.0.0.0:")
    }
    called = {
        value
        for one in every.values()
        for name, value in one.environment.items()
        if name.endswith("_ENDPOINT")
    }
    assert called
    assert called <= listens
    scraped = read(DEMO)["configs"]["prometheus"]["content"]
    targets = {one for one in listens if f'"{one}"' in scraped}
    assert {one.partition(":")[0] for one in targets} == {*every} - {"ledgers"}


def test_both_profiles_have_the_whole_family_and_no_port_is_open_to_others() -> None:
    every = read(DEMO)["services"]
    family = {"source", "processor", "consumer", "analytics", "postgres", "prometheus", "grafana"}
    for profile in ("demo", "pubnet"):
        assert family <= {name for name, one in every.items() if profile in one["profiles"]}
    assert every["ledgers"]["profiles"] == ["demo"]
    assert every["kafka"]["profiles"] == ["kafka"]
    published = [port for one in every.values() for port in one.get("ports", ())]
    assert len(published) > 5
    assert all(port.startswith("127.0.0.1:") for port in published)
    for name in services(DEMO):
        assert (every[name]["read_only"], every[name]["cap_drop"]) == (True, ["ALL"])


def test_every_port_of_the_family_is_listened_on_and_published() -> None:
    listens = {
        name: {
            int(value.rpartition(":")[2])
            for value in one.environment.values()
            if value.startswith("0.0.0.0:")
        }
        for name, one in services(DEMO).items()
    }
    assert listens == {
        "ledgers": set(),
        "source": {50053, 8815, 8088},
        "processor": {50054, 8816, 8089},
        "consumer": {9090},
        "analytics": {8080, 8081, 8817, 8088},
    }
    published = [port.split(":") for port in read(DEMO)["services"]["analytics"]["ports"]]
    assert published == [["127.0.0.1", port, port] for port in ("8080", "8081", "8817")]


def test_two_networks_side_by_side_publish_no_port_twice() -> None:
    published = [
        [port.rpartition(":")[0] for one in read(given)["services"].values() for port in one.get("ports", ())]
        for given in (PUBNET, TESTNET)
    ]
    assert len(published[0]) == len(published[1]) > 5
    assert not {*published[0]} & {*published[1]}
    assert all(port.startswith("127.0.0.2:") for port in published[1])
    assert PUBNET["NETWORK_PASSPHRASE"] != TESTNET["NETWORK_PASSPHRASE"]


def test_a_missing_choice_is_told_with_what_to_do() -> None:
    with pytest.raises(KeyError, match="name the network"):
        read({**DEMO, "NETWORK_PASSPHRASE": ""})


@pytest.mark.slow
@pytest.mark.parametrize("given", [DEMO, PUBNET, TESTNET], ids=["demo", "pubnet", "testnet"])
def test_the_reference_reader_of_compose_files_takes_it(given: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_text(yaml.safe_dump(read(given)))
    done = subprocess.run(
        [tool("compose-go"), "-format", "json", FILE.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    model: dict[str, Any] = json.loads(done.stdout)
    assert model["name"] == "stellarrow"


class Topology:
    """The services of compose.yaml as processes of this machine, on ports of their own."""

    def __init__(self, folder: Path, database: PrivateServer) -> None:
        self.folder = folder
        given = {**DEMO, "SOURCE": str(folder / "lake")}
        self.services = services(given)
        self.ports = {
            f"{name}:{value.rpartition(':')[2]}": free_port()
            for name, one in self.services.items()
            for value in one.environment.values()
            if value.startswith("0.0.0.0:")
        }
        (folder / "password").write_text("unused")
        self.database = {"DB_HOST": "127.0.0.1", "DB_PORT": database._settings["port"], "DB_USER": "stellar"}
        self.running: list[subprocess.Popen[bytes]] = []

    def environment(self, service: Service) -> dict[str, str]:
        given = {name: self.located(service, value) for name, value in service.environment.items()}
        if service.section == "consumer":
            given |= {**self.database, "DB_PASSWORD_FILE": str(self.folder / "password")}
        state = self.folder / service.name
        return {**os.environ, **given, "STATE_DIR": str(state), "HOME": str(state)}

    def located(self, service: Service, value: str) -> str:
        if value.startswith("0.0.0.0:"):
            return f"127.0.0.1:{self.ports[f'{service.name}:' + value.rpartition(':')[2]]}"
        return f"127.0.0.1:{self.ports[value]}" if value in self.ports else value

    def start(self, name: str) -> None:
        service = self.services[name]
        words = [word.replace("/var/lib/stellarrow", str(self.folder)) for word in service.command]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "stellarrow.cli", *words],
                    cwd=self.folder,
                    env=self.environment(service),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def ask(self, address: str, path: str) -> Any:
        """Return what a service answers once it does, as JSON."""
        deadline = time.monotonic() + SECONDS
        url, fault = f"http://127.0.0.1:{self.ports[address]}{path}", ""
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return json.load(answer)
            except OSError as error:
                fault = str(error)
                time.sleep(0.2)
        logs = "\n".join(log.read_text()[-2_000:] for log in self.folder.glob("*.log"))
        raise AssertionError(f"{address}{path}: {fault}\n{logs}")

    def stop(self) -> list[int]:
        for process in reversed(self.running):
            process.terminate()
        return [process.wait(SECONDS) for process in self.running]


@contextmanager
def started() -> Iterator[tuple[Topology, PrivateServer]]:
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port())}
    with open_folder() as folder, PrivateServer(folder, durable=False, settings=settings) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE stellar LOGIN")
            connection.execute("CREATE DATABASE stellar OWNER stellar")
        topology = Topology(folder, server)
        try:
            yield topology, server
        finally:
            for process in topology.running:
                if process.poll() is None:
                    process.kill()
                    process.wait()


@pytest.mark.slow
def test_the_topology_brings_ledgers_from_a_lake_to_postgresql_and_to_rest() -> None:
    if find_binaries() is None:
        pytest.skip("there is no PostgreSQL to start")
    with started() as (topology, server):
        for _ in range(2):  # an engine starts it again with every `up`
            topology.start("ledgers")
            assert topology.running.pop().wait(SECONDS) == 0, (topology.folder / "ledgers.log").read_text()
        for name, address in (
            ("source", "source:8088"),
            ("processor", "processor:8089"),
            ("consumer", "consumer:9090"),
            ("analytics", "analytics:8088"),
        ):
            topology.start(name)
            topology.ask(address, "/ready")
        url = server.url.replace("/postgres?", "/stellar?")
        deadline = time.monotonic() + SECONDS
        while (kept := covered(url)) < 300:
            assert time.monotonic() < deadline, f"{kept} of 300 ledgers came"
            time.sleep(0.5)
        while topology.ask("analytics:8081", "/v1/status")["as_of_ledger"] != 301:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        with flight.connect(f"grpc://127.0.0.1:{topology.ports['analytics:8817']}") as client:
            assert [*client.list_flights()]
        with connect(
            f"ws://127.0.0.1:{topology.ports['analytics:8080']}/v1/ws", open_timeout=SECONDS
        ) as socket:
            assert json.loads(socket.recv(timeout=SECONDS))["op"] == "ready"
        assert topology.stop() == [0, 0, 0, 0]


def covered(url: str) -> int:
    """Return of how many ledgers the database holds contract data."""
    with psycopg.connect(url, autocommit=True) as connection:
        made = connection.execute("SELECT to_regclass('contract_data.ledger_coverage')").fetchone()
        if not made or made[0] is None:
            return 0
        row = connection.execute(
            "SELECT sum(upper(one) - lower(one)) FROM contract_data.ledger_coverage, unnest(ledgers) AS one"
            " WHERE table_name = 'contract_data.entries'"
        ).fetchone()
    return int(row[0] or 0) if row else 0


def test_variables_are_filled_in_as_the_specification_says() -> None:
    assert filled("${A:-b} ${C} ${D:?why}", {"D": "d"}) == "b  d"
