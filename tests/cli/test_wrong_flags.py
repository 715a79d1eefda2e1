"""A wrong flag leaves nothing behind: the right one afterwards works, in the same place."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import stellarrow as sa
from sinks.postgres.made import asked
from stellarrow.cli import invoke
from stellarrow.config import Consumer, Processor, read
from stellarrow.services.consumer import SinkService
from stellarrow.services.processor import ProcessorService

Run = Callable[..., Any]
PUBNET = "Public Global Stellar Network ; September 2015"
WRONG = ["pubnett", "testnet", "Public Global Stellar Network ; September 2016", "passphrase:pubnett"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ledgers.xdr"
    path.write_bytes(sa.synth(4, first=7, ledger_bytes=4_096, network=PUBNET))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_network_is_recorded_in_no_lake(
    stellarrow: Run, file: Path, tmp_path: Path, wrong: str
) -> None:
    line = ("lake", "write", file, "--to", tmp_path / "lake", "--network")
    assert stellarrow(*line, wrong).code in (1, 2)
    assert not (tmp_path / "lake").exists()
    done = stellarrow(*line, "pubnet")
    assert (done.code, done.out.startswith("4 ledgers")) == (0, True)
    assert PUBNET in (tmp_path / "lake" / ".config.json").read_text()


def test_nothing_that_keeps_a_lake_from_its_first_file_leaves_a_lake(
    stellarrow: Run, file: Path, tmp_path: Path
) -> None:
    line = ("lake", "write", file, "--to", tmp_path / "lake", "--network", "pubnet")
    for wrong in (("--ledgers", "5:10"), ("--ledgers", "2024:"), ("--ledgers-per-file", 64)):
        stellarrow(*line, *wrong)
        assert not (tmp_path / "lake").exists(), wrong
    assert stellarrow(*line, "--ledgers-per-file", 2, "--ledgers", "8:9").code == 0
    refused = stellarrow(*line, "--ledgers-per-file", 4)
    assert (refused.code, "choose another place" in refused.err) == (1, True)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_wrong_network_is_recorded_in_no_folder(
    stellarrow: Run, file: Path, here: Path, kind: str, wrong: str
) -> None:
    line = ("extract", file, "--tables", "ledgers,contract_events", "--to", f"{kind}:out", "--network")
    before = sorted(here.rglob("*"))
    for more in ((), ("--dry-run",), ("--on-error", "quarantine")):
        assert stellarrow(*line, wrong, *more).code in (1, 2)
    assert sorted(here.rglob("*")) == before
    assert stellarrow(*line, "pubnet").code == 0


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_network_is_recorded_in_no_database(
    stellarrow: Run, file: Path, database: str, wrong: str
) -> None:
    parts = {name: quote(value, safe="") for name, value in (one.split("=") for one in database.split())}
    url = f"postgres://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
    line = ("extract", file, "--tables", "ledgers", "--to", url, "--network")
    for more in ((), ("--dry-run",)):
        assert stellarrow(*line, wrong, *more).code in (1, 2)
    stellarrow(*line, wrong, "--verify")
    done = stellarrow(*line, "pubnet")
    assert (done.code, done.out.startswith("4 ledgers")) == (0, True), done.err


@pytest.mark.parametrize(
    "flag", [("--tables", "ledgerz"), ("--to", "parket:out"), ("--where", "nonsense = 1")]
)
def test_a_mistyped_table_sink_or_condition_is_recorded_nowhere(
    stellarrow: Run, file: Path, tmp_path: Path, flag: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = {"--tables": "ledgers", "--to": "parquet:out", "--network": "pubnet"}
    before = sorted(tmp_path.rglob("*"))
    done = stellarrow("extract", file, *(one for pair in (line | {flag[0]: flag[1]}).items() for one in pair))
    assert done.code == 2
    assert sorted(tmp_path.rglob("*")) == before


def settings(tmp_path: Path, **given: str) -> Processor:
    doors = dict.fromkeys(("grpc_address", "flight_address", "health_port"), ":0")
    return read(Processor, {"state_dir": str(tmp_path / "state"), **doors, **given}, environ={})


def settled(service: ProcessorService) -> list[str]:
    for work in service.processor.works():
        work.join(20)
    return [work.session.status.name for work in service.processor.works()]


def test_a_session_that_failed_by_a_wrong_network_is_begun_again_with_the_right_one(
    file: Path, tmp_path: Path
) -> None:
    choices = {"source": str(file), "start_ledger": "7", "end_ledger": "10"}
    with closing(ProcessorService(settings(tmp_path, **choices, network="testnet"))) as service:
        service.start()
        assert settled(service) == ["ERROR"]
    with closing(ProcessorService(settings(tmp_path, **choices, network="pubnet"))) as service:
        service.start()
        assert settled(service) == ["ERROR", "STOPPED"]


def test_a_session_that_waited_with_a_wrong_network_goes_on_with_the_right_one(
    file: Path, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    choices = {"source": f"file://{lake}", "start_ledger": "9"}
    ledgers = tmp_path / "early.xdr"
    ledgers.write_bytes(sa.synth(2, first=7, ledger_bytes=4_096, network=PUBNET))
    assert invoke(["lake", "write", str(ledgers), "--to", str(lake), "--network", "pubnet"]) == 0
    (lake / ".config.json").rename(tmp_path / "manifest")  # it tells no network now
    with closing(ProcessorService(settings(tmp_path, **choices, network="testnet"))) as service:
        service.start()
        (work,) = service.processor.works()
        deadline = threading.Event()
        while work.session.status.name != "RUNNING":
            assert not deadline.wait(0.05)
        service.drain()
    (tmp_path / "manifest").rename(lake / ".config.json")
    with closing(ProcessorService(settings(tmp_path, **choices, network="pubnet"))) as service:
        service.start()
        assert invoke(["lake", "write", str(file), "--to", str(lake), "--network", "pubnet"]) == 0
        (work,) = service.processor.works()
        for _ in range(400):
            if work.session.current == 10:
                break
            deadline.wait(0.05)
        assert (work.session.current, work.session.network) == (10, PUBNET)


def test_a_consumer_with_a_wrong_network_writes_nothing_into_the_database(
    file: Path, tmp_path: Path, database: str
) -> None:
    ledgers = {"start_ledger": "7", "end_ledger": "10"}
    running = settings(tmp_path, source=str(file), network="pubnet", **ledgers)
    with closing(ProcessorService(running)) as service:
        service.start()
        assert settled(service) == ["STOPPED"]
        given = {
            "flight_endpoint": str(service.flight.address),
            "database_url": database,
            "metrics_port": ":0",
            "tables": "ledgers",
            **ledgers,
        }
        for ranged in (True, False):  # decoded for it, or as the session kept it
            chosen = given if ranged else {name: one for name, one in given.items() if name not in ledgers}
            with pytest.raises(sa.ConfigError, match="are of pubnet, not testnet, as --network says"):
                consumed({**chosen, "network": "testnet"})
        consumed({**given, "network": "pubnet"})
    assert asked(database, "SELECT count(*) AS n FROM stellar.ledgers")[0]["n"] == 4


def consumed(given: dict[str, str]) -> None:
    SinkService(read(Consumer, given, environ={}), threading.Event()).run()
