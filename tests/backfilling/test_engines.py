"""Backfills on Ray and Spark whose workers, executors and drivers are killed: each ledger is there once."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pytest

import stellarrow as sa
from backfilling.killing import Driver, Victims
from fakes.engines import engine, environment, spark_environment
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds workers in /proc"),
]
KILLS = 50
DRIVER_KILLS = 2  # of each backfill
ROUNDS = 12  # at most
LEDGERS = 200  # a task each, so that there is progress between kills
Drive = Callable[[list[str | Path], Mapping[str, str], Path], Driver]
TABLES = ("ledgers", "contract_events")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long") / "lake"
    found = islice(synthetic(LEDGERS, first=100, ledger_bytes=4_096), LEDGERS)
    write_lake(folder, found, first=100, network=Network.of("synthetic"))
    return folder


@pytest.fixture(scope="module")
def wanted(lake: Path) -> dict[str, Counter[int]]:
    """How many rows a scan of the lake has of each ledger."""
    return {table: counted(lake, table) for table in TABLES}


def counted(place: Path, table: str) -> Counter[int]:
    return Counter(sa.scan(place, table=table).to_table().column("ledger_sequence").to_pylist())


def backfill(engine: str, lake: Path, place: Path, *more: str) -> list[str | Path]:
    argv: list[str | Path] = [sys.executable, "-m", "stellarrow.cli", "backfill", lake, "--engine", engine]
    argv += ["--tables", ",".join(TABLES), "--to", f"parquet:{place}?ledgers=1", "--json", *more]
    return argv


def alone() -> list[str]:
    """Return what runs a command in a network of its own, with its loopback up: Ray listens everywhere."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare -n is not allowed here: it needs root")
    return [unshare, "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """Make drivers; what those that were killed left behind is ended."""
    made: list[Driver] = []

    def drive(argv: list[str | Path], env: Mapping[str, str], place: Path) -> Driver:
        made.append(Driver(argv, env, place, tmp_path / "log", random.Random(7)))  # noqa: S311
        return made[-1]

    yield drive
    for one in made:
        one.end_orphans()


def survive(made: Callable[[Path], Driver], wanted: dict[str, Counter[int]], victim: Victims) -> list[bytes]:
    """Run backfills until enough was killed, each to its end; return the command lines of what was killed."""
    killed = list[bytes]()
    for number in range(ROUNDS):
        driver = made(Path(f"out-{number}"))
        for again in range(DRIVER_KILLS):
            driver.lose(files=8 * (again + 1))
        report = json.loads(driver.run(victim, kills=LEDGERS))
        killed += driver.killed
        print(f"killed so far: {len(killed)}, of them {killed.count(b'driver')} drivers")
        assert report["ledgers"] == report["total"]
        assert report["total"] + report["skipped"] == LEDGERS
        assert {table: counted(driver.place, table) for table in TABLES} == wanted
        if len(killed) >= KILLS:
            break
    assert len(killed) >= KILLS, "there was too little work for so many kills"
    done = json.loads(driver.run(victim, kills=0))
    assert (done["total"], done["skipped"]) == (0, LEDGERS)
    print(f"a rerun of the finished job took {done['seconds']:.1f} s")
    return killed


def test_ray_survives_kills_of_workers_and_drivers(
    lake: Path, wanted: dict[str, Counter[int]], tmp_path: Path, drive: Drive
) -> None:
    env = environment(engine("ray")) | {"RAY_USAGE_STATS_ENABLED": "0"}

    def made(name: Path) -> Driver:
        place = tmp_path / name
        return drive([*alone(), *backfill("ray", lake, place, "--workers", "2")], env, place)

    survive(made, wanted, lambda line: line.startswith(b"ray::answered"))


def test_spark_survives_kills_of_workers_executors_and_drivers(
    lake: Path, wanted: dict[str, Counter[int]], tmp_path: Path, drive: Drive
) -> None:
    env = spark_environment(tmp_path / "conf")
    executor = b"CoarseGrainedExecutorBackend"
    kinds = (b"pyspark.daemon", b"pyspark/daemon", executor)

    def made(name: Path) -> Driver:
        place = tmp_path / name
        argv = backfill("spark", lake, place, "--address", "local-cluster[2,1,512]", "--workers", "2")
        return drive(argv, env, place)

    killed = survive(made, wanted, lambda line: any(kind in line for kind in kinds))
    assert any(executor in line for line in killed)
