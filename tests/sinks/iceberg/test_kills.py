"""Four writers of the same ledgers that die at once: PyIceberg and DuckDB judge what is left."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

import stellarrow as sa
from fakes.lakehouse import packages
from sinks.delta.opening import options
from sinks.delta.test_others import batch, due
from sinks.iceberg.made import URL, table_of
from sinks.iceberg.opening import PREFIX, TABLES, catalog_in, name_catalog
from sinks.killing import kill_four_at_once
from stellarrow.sinks.iceberg import IcebergSink

FIRST, LAST = 100, 139
_JUDGE = Path(__file__).with_name("judge.py")
_SECONDS = 300.0  # for what takes one
Places = Callable[[int], tuple[dict[str, str], str]]  # the settings of a catalog, and a place in it


@pytest.fixture(autouse=True)
def _unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TYPE", "URI", "WAREHOUSE"):
        monkeypatch.setenv(f"{PREFIX}{name}", "")


def opened(place: str) -> IcebergSink:
    return IcebergSink(place, TABLES, options=options())


def bring(place: str, ledgers: tuple[bytes, ...], step: int = 10) -> None:
    with closing(opened(place)) as sink:
        for ledger in range(FIRST, LAST + 1, step):
            sink.write(batch(ledgers, ledger, ledger + step - 1))
            sink.commit()


def covered(place: str) -> sa.LedgerSet:
    with closing(opened(place)) as sink:
        return sink.coverage()


def rows_by_duckdb(metadata: str) -> dict[int, int]:
    argv = [sys.executable, "-W", "ignore", str(_JUDGE), str(packages("duckdb")), metadata]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert done.returncode == 0, done.stderr[-2_000:]
    return {int(ledger): rows for ledger, rows in json.loads(done.stdout).items()}


def assert_right(place: str, ledgers: tuple[bytes, ...], *, by_duckdb: bool = False) -> None:
    """Check that what is covered is there once in both tables, and nothing beside what one of them covers."""
    held = covered(place)
    for name in TABLES:
        if (table := table_of(name, place)) is None:
            assert not held
            continue
        found = Counter(table.scan(selected_fields=("ledger_sequence",)).to_arrow()[0].to_pylist())
        alone = sa.LedgerSet.of(found)  # of a table that came further than the other
        assert not held - alone
        assert dict(found) == due(ledgers, name, alone)
        if by_duckdb:
            assert rows_by_duckdb(table.metadata_location.removeprefix("file://")) == dict(found)


def kill_four_writers(
    places: Places, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str], times: int
) -> int:
    """Kill four writers of the same ledgers at once, again and again; return how many died in commits."""
    dice = random.Random(times)  # noqa: S311
    inside = 0
    for at in range(times):
        settings, place = places(at)
        name_catalog(settings)
        opening = (
            "from sinks.delta.opening import options\n"
            "from sinks.iceberg.opening import name_catalog\n"
            "from sinks.iceberg.stepping import step_through\n"
            "from stellarrow.sinks.iceberg import IcebergSink\n"
            "step_through(step)\n"
            f"name_catalog({settings!r})\n"
            f"sink = IcebergSink({place!r}, {TABLES!r}, options=options())"
        )
        inside += kill_four_at_once(forks, dice, opening, TABLES, range(FIRST, LAST + 1))
        assert_right(place, ledgers)
        bring(place, ledgers)
        assert str(covered(place)) == f"{FIRST}:{LAST}"
        assert_right(place, ledgers, by_duckdb="S3__ENDPOINT" not in settings)
    return inside


def in_sqlite(folder: Path) -> Places:
    return lambda at: (catalog_in(folder / f"kill-{at}"), URL)


def in_postgres(folder: Path, database: str) -> Places:
    """Return catalogs in schemas of a database of their own: of several writers it lets all in at once."""

    def made(at: int) -> tuple[dict[str, str], str]:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA kill_{at}".encode())
            parts = connection.info
            found = f"{parts.user}@/{parts.dbname}?host={parts.host}&port={parts.port}"
        path = f"options=-csearch_path%3Dkill_{at}"
        return catalog_in(folder / f"kill-{at}", f"postgresql+psycopg://{found}&{path}"), URL

    return made


def test_four_writers_killed_at_once_leave_each_ledger_once(
    tmp_path: Path, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str]
) -> None:
    assert kill_four_writers(in_sqlite(tmp_path), ledgers, forks, 2) >= 2


@pytest.mark.slow
def test_four_writers_killed_at_fifty_moments_leave_each_ledger_once(
    tmp_path: Path, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str]
) -> None:
    print(f"{kill_four_writers(in_sqlite(tmp_path), ledgers, forks, 50)} writers died within a commit")


@pytest.mark.slow
def test_four_writers_with_a_catalog_in_postgres_killed_at_fifty_moments_leave_each_ledger_once(
    tmp_path: Path, database: str, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str]
) -> None:
    places = in_postgres(tmp_path, database)
    print(f"{kill_four_writers(places, ledgers, forks, 50)} writers died within a commit")
