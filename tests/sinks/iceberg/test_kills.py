"""Four writers of the same ledgers that die at once: PyIceberg and DuckDB judge what is left."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

import stellarrow as sa
from fakes.lakehouse import IcebergJudge
from sinks.delta.opening import options
from sinks.delta.test_others import batch, due
from sinks.iceberg.made import URL, table_of
from sinks.iceberg.opening import PREFIX, TABLES, catalog_in, name_catalog
from sinks.killing import kill_four_at_once
from stellarrow.sinks.iceberg import IcebergSink

FIRST, LAST = 100, 139
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


@dataclass(frozen=True)
class Killing:
    """Kills writers; a reader that is not ours judges, which finds a bucket's objects in a folder."""

    forks: subprocess.Popen[str]
    judge: IcebergJudge
    ledgers: tuple[bytes, ...]
    bucket: Path | None = None

    def kill_four_writers(self, places: Places, times: int) -> int:
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
                "import stellarrow.sinks.iceberg.book, stellarrow.sinks.iceberg.upkeep\n"
                "step_through(step)\n"
                f"name_catalog({settings!r})\n"
                f"sink = IcebergSink({place!r}, {TABLES!r}, options=options())"
            )
            inside += kill_four_at_once(self.forks, dice, opening, TABLES, range(FIRST, LAST + 1))
            self.assert_right(place)
            bring(place, self.ledgers)
            assert str(covered(place)) == f"{FIRST}:{LAST}"
            self.assert_right(place)
        return inside

    def assert_right(self, place: str) -> None:
        """Check that what is covered is there once in both tables, and no row of any other."""
        held = covered(place)
        for name in TABLES:
            if (table := table_of(name, place)) is None:
                assert not held
                continue
            found = Counter(table.scan(selected_fields=("ledger_sequence",)).to_arrow()[0].to_pylist())
            alone = sa.LedgerSet.of(found)  # of a table that came further than the other
            assert not held - alone
            assert dict(found) == due(self.ledgers, name, alone)
            assert self._by_duckdb(table) == dict(found)

    def _by_duckdb(self, table: Any) -> dict[int, int]:
        """Ask DuckDB, which reads a bucket as the folder that its server keeps it in."""
        if self.bucket is None:
            return self.judge.rows(table.metadata_location.removeprefix("file://"))
        local = (urlsplit(one).path.lstrip("/") for one in (table.metadata_location, table.location()))
        metadata, place = (str(self.bucket / one) for one in local)
        return self.judge.rows(metadata, place)


@pytest.fixture
def killing(forks: subprocess.Popen[str], iceberg_judge: IcebergJudge, ledgers: tuple[bytes, ...]) -> Killing:
    return Killing(forks, iceberg_judge, ledgers)


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


def test_four_writers_killed_at_once_leave_each_ledger_once(tmp_path: Path, killing: Killing) -> None:
    assert killing.kill_four_writers(in_sqlite(tmp_path), 2) >= 2


@pytest.mark.slow
def test_four_writers_killed_at_fifty_moments_leave_each_ledger_once(
    tmp_path: Path, killing: Killing
) -> None:
    print(f"{killing.kill_four_writers(in_sqlite(tmp_path), 50)} writers died within a commit")


@pytest.mark.slow
def test_four_writers_with_a_catalog_in_postgres_killed_at_fifty_moments_leave_each_ledger_once(
    tmp_path: Path, database: str, killing: Killing
) -> None:
    places = in_postgres(tmp_path, database)
    print(f"{killing.kill_four_writers(places, 50)} writers died within a commit")
