"""Spark reads what dead writers, and Spark itself, left of Delta tables as our reader does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fakes.engines import SparkSession
from sinks.delta.test_others import FIRST, LAST, TABLES, assert_right, batch, bring, kill_four_writers, opened
from sinks.spark_judge import SparkJudge, assert_read_alike

pytestmark = pytest.mark.slow


@pytest.fixture
def judge(lake_spark: SparkSession, tmp_path: Path) -> SparkJudge:
    return SparkJudge(lake_spark, tmp_path)


def assert_alike(judge: SparkJudge, place: Path) -> None:
    for table in TABLES:
        assert_read_alike(judge.delta(place / table), f"delta:{place}", table)


def test_spark_reads_what_killed_writers_left_and_others_brought_after_them(
    judge: SparkJudge, tmp_path: Path, ledgers: tuple[bytes, ...], forks: subprocess.Popen[str]
) -> None:
    kill_four_writers(tmp_path / "kills", ledgers, forks, 5)
    for place in (tmp_path / "kills").iterdir():
        assert_right(None, place, ledgers, f"{FIRST}:{LAST}")
        assert_alike(judge, place)


def test_what_spark_merges_and_removes_between_commits_changes_neither_rows_nor_coverage(
    judge: SparkJudge, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    place = tmp_path / "out"
    bring(place, ledgers, range(100, 107))
    sink = opened(place)  # which has read the log before Spark changes it
    assert str(sink.coverage()) == "100:106"
    for at, asked in enumerate(
        ("optimize {}", "optimize {} zorder by (closed_at)", "vacuum {} retain 0 hours"), 107
    ):
        for table in TABLES:
            judge.do("spark.sql(asked).collect()", asked=asked.format(f"delta.`{place}/{table}`"))
        sink.write(batch(ledgers, at, at))
        sink.commit()
        assert_alike(judge, place)
    assert str(sink.coverage()) == "100:109"
    sink.close()
    bring(place, ledgers)
    assert_alike(judge, place)
