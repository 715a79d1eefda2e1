"""Callers take turns: who orders much keeps nobody else waiting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.stored import Stored
from stellarrow.errors import Unavailable
from stellarrow.servers.analytics_exports.exporter import Exporter, Settings
from stellarrow.servers.analytics_exports.folder import ExportFolder
from stellarrow.servers.analytics_exports.job import Job
from stellarrow.servers.analytics_exports.turns import Turns
from stellarrow.telemetry.metrics import Metrics

SECONDS = 60.0


def job(owner: str, number: int) -> Job:
    return Job(id=f"{owner}{number}", owner=owner, format="csv", query={}, created_at=number)


def test_callers_take_turns_each_with_its_oldest_first() -> None:
    waiting = [job("a", 1), job("a", 2), job("a", 3), job("b", 4), job("c", 5), job("b", 6)]
    turns, order = Turns(), []
    while waiting:
        one = turns.next(waiting)
        waiting.remove(one)
        order.append(one.id)
    assert order == ["a1", "b4", "c5", "a2", "b6", "a3"]


def test_who_comes_later_has_the_next_turn() -> None:
    turns = Turns()
    assert turns.next([job("a", 1), job("a", 2)]).id == "a1"
    assert turns.next([job("a", 2), job("b", 3)]).id == "b3"


@pytest.fixture
def exporter(real_data: Path, tmp_path: Path) -> Iterator[Exporter]:
    stored = Stored(str(real_data), ["token_transfers"])
    tables = Tables(["token_transfers"], hot=Hot((), most_bytes=1 << 20), stored=stored, network=None)
    settings = Settings(path=tmp_path / "exports", most_bytes=1 << 30, age=3_600)
    with closing(stored), closing(Exporter(tables, settings, Metrics())) as made:
        yield made


@pytest.mark.usefixtures("small_files")
def test_a_long_export_lets_others_in_between_its_files(exporter: Exporter, tmp_path: Path) -> None:
    asked = {"format": "ndjson", "table": "token_transfers"}
    long = [exporter.create(asked, "many") for _ in range(3)]
    short = exporter.create(asked, "one")
    exporter.start()
    deadline = time.monotonic() + SECONDS
    while not all(exporter.get(one.id, None).is_finished for one in (*long, short)):
        assert time.monotonic() < deadline, exporter.all(None)
        time.sleep(0.02)
    found = {one.id: exporter.get(one.id, None) for one in (*long, short)}
    assert {one.state for one in found.values()} == {"done"}, found
    assert len(found[short.id].files) > 1

    def written(one: Job, at: int) -> int:
        return (tmp_path / "exports" / one.id / found[one.id].files[at].name).stat().st_mtime_ns

    assert written(short, -1) < max(written(one, -1) for one in long)
    assert written(short, 0) < min(written(one, 1) for one in long), "its first file waits for one of theirs"
    rows = {one.id: sum(file.rows for file in one.files) for one in found.values()}
    assert len(set(rows.values())) == 1, rows


def test_a_second_process_says_that_exports_are_anothers_and_takes_them_over(
    exporter: Exporter,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stellarrow.servers.analytics_exports.exporter._LOOK_SECONDS", 0.05)
    caplog.set_level("INFO", "stellarrow.export")
    held = ExportFolder(tmp_path / "exports")
    assert held.take()
    exporter.start()
    deadline = time.monotonic() + SECONDS
    while "another process has the folder of exports" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(Unavailable, match="another process"):
        exporter.all(None)
    held.close()
    while "is this process's now" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert exporter.all(None) == []
