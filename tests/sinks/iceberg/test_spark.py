"""Spark reads what dead writers, and Spark itself, left of Iceberg tables as our reader does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("pyiceberg", reason="tests/sinks/test_iceberg.py runs these where PyIceberg is")

from fakes.engines import SparkSession
from fakes.lakehouse import IcebergJudge
from sinks.delta.test_others import batch
from sinks.iceberg.made import URL
from sinks.iceberg.opening import PREFIX, TABLES, catalog_in, name_catalog
from sinks.iceberg.test_kills import FIRST, LAST, Killing, bring, covered, in_sqlite, opened
from sinks.spark_judge import SparkJudge, assert_read_alike

pytestmark = pytest.mark.slow
_TIDY = (
    "call test.system.rewrite_data_files(table => 'stellar.{}', options => map('min-input-files', '2'))",
    "call test.system.rewrite_manifests('stellar.{}')",
    "call test.system.expire_snapshots(table => 'stellar.{}', retain_last => 1, older_than => now())",
)


@pytest.fixture(autouse=True)
def _unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TYPE", "URI", "WAREHOUSE"):
        monkeypatch.setenv(f"{PREFIX}{name}", "")


@pytest.fixture
def judge(lake_spark: SparkSession, tmp_path: Path) -> SparkJudge:
    return SparkJudge(lake_spark, tmp_path)


def assert_alike(judge: SparkJudge, folder: Path, asked: str = "") -> None:
    name_catalog(catalog_in(folder))
    for table in TABLES:
        found = judge.iceberg(folder, f"stellar.{table}", asked.format(table))
        assert_read_alike(found, URL, table)


def places(folder: Path) -> Iterator[Path]:
    yield from sorted(one for one in folder.iterdir() if one.name.startswith("kill-"))


def test_spark_reads_what_killed_writers_left_and_others_brought_after_them(
    judge: SparkJudge,
    iceberg_judge: IcebergJudge,
    tmp_path: Path,
    ledgers: tuple[bytes, ...],
    forks: subprocess.Popen[str],
) -> None:
    Killing(forks, iceberg_judge, ledgers).kill_four_writers(in_sqlite(tmp_path), 5)
    for place in places(tmp_path):
        assert_alike(judge, place)
        assert str(covered(URL)) == f"{FIRST}:{LAST}"


@pytest.mark.parametrize("partition", ["none", "ledgers", "day", "bucket"])
def test_what_spark_merges_and_expires_between_commits_changes_neither_rows_nor_coverage(
    judge: SparkJudge, tmp_path: Path, ledgers: tuple[bytes, ...], partition: str
) -> None:
    folder, place = tmp_path / "out", f"{URL}&partition={partition}&buckets=3"
    name_catalog(catalog_in(folder))
    with closing(opened(place)) as sink:
        for ledger in range(100, 107):
            sink.write(batch(ledgers, ledger, ledger))
            sink.commit()
        for at, asked in enumerate(_TIDY, 107):
            assert_alike(judge, folder, asked)
            sink.write(batch(ledgers, at, at))
            sink.commit()
            assert_alike(judge, folder)
        assert str(sink.coverage()) == "100:109"
    bring(place, ledgers)
    assert_alike(judge, folder)
