from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stellarrow as sa
import stellarrow.backfilling.work
from stellarrow.backfilling.backfill import BackfillReport, backfill
from stellarrow.backfilling.work import Task, TaskFailed, work

Run = Callable[..., Any]
Lake = Callable[..., Path]
TABLES = ("ledgers", "contract_events")


def held(place: Path, table: str = "ledgers") -> list[int]:
    return sorted(sa.scan(place, table=table).to_table().column("ledger_sequence").to_pylist())


def children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task")
    return [
        int(one)
        for task in found.iterdir()
        for one in (task / "children").read_text().split()
        if found.exists()
    ]


def test_workers_bring_what_one_run_brings(make_lake: Lake, tmp_path: Path) -> None:
    lake = make_lake()
    sa.run(lake, tables=TABLES, sinks=f"parquet:{tmp_path}/one?ledgers=5")
    seen: list[int] = []
    report = backfill(
        lake,
        tables=TABLES,
        sinks=f"parquet:{tmp_path}/many?ledgers=5",
        workers=2,
        progress=lambda state: seen.append(state.ledgers),
    )
    assert (report.ledgers, report.total, report.skipped, report.stopped) == (40, 40, 0, False)
    assert seen == sorted(seen)
    assert seen[-1] == 40
    for table in TABLES:
        one, many = (sa.scan(tmp_path / name, table=table).to_table() for name in ("one", "many"))
        order = [(name, "ascending") for name in one.column_names if name.endswith(("sequence", "index"))]
        assert one.sort_by(order).equals(many.sort_by(order))


def test_what_is_there_is_not_done_again(make_lake: Lake, tmp_path: Path) -> None:
    lake, place = make_lake(), f"parquet:{tmp_path}/out?ledgers=5"
    sa.run(lake, tables=TABLES, sinks=place, ledgers="100:119")
    first = backfill(lake, tables=TABLES, sinks=place, workers=1)
    again = backfill(lake, tables=TABLES, sinks=place, workers=1)
    assert (first.ledgers, first.skipped) == (20, 20)
    assert (again.total, again.skipped, again.ledgers) == (0, 40, 0)


def test_a_task_that_cannot_be_done_is_told_with_its_ledgers(make_lake: Lake, tmp_path: Path) -> None:
    lake = make_lake()
    victim = sorted(path for path in lake.rglob("*.zst") if path.is_file())[7]
    victim.write_bytes(victim.read_bytes()[:-30])
    with pytest.raises(TaskFailed, match=r"^ledgers 1\d\d"):
        backfill(lake, tables=TABLES, sinks=f"parquet:{tmp_path}/out?ledgers=5", workers=2)


@pytest.mark.parametrize(
    ("choices", "word"),
    [
        ({"engine": "dask"}, "no engine"),
        ({"workers": 0}, "at least 1"),
        ({"address": "auto"}, "engine ray"),
        ({"ledgers": "100:"}, "has an end"),
    ],
)
def test_what_makes_no_sense_is_refused(
    make_lake: Lake, tmp_path: Path, choices: dict[str, Any], word: str
) -> None:
    with pytest.raises(sa.ConfigError, match=word):
        backfill(make_lake(), tables=TABLES, sinks=f"parquet:{tmp_path}/out", **choices)


def kill_workers(stop: threading.Event, killed: list[int]) -> None:
    """Kill one worker or another now and then, until told to stop."""
    dice = random.Random(len(killed))  # noqa: S311
    while not stop.wait(dice.uniform(0.1, 2.0)):
        workers = [one for one in children(os.getpid()) if b"backfilling.work" in command_line(one)]
        if workers:
            killed.append(dice.choice(workers))
            os.kill(killed[-1], signal.SIGKILL)


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds workers in /proc")
def test_workers_that_are_killed_are_replaced_and_every_ledger_is_there_once(
    make_lake: Lake, tmp_path: Path
) -> None:
    lake, killed = make_lake(), list[int]()
    while len(killed) < 50:
        place, stop = tmp_path / str(len(killed)), threading.Event()
        killer = threading.Thread(target=kill_workers, args=(stop, killed))
        killer.start()
        try:
            report = backfill(lake, tables=TABLES, sinks=f"parquet:{place}?ledgers=5", workers=2)
        finally:
            stop.set()
            killer.join()
        assert held(place) == list(range(100, 140))
        assert report.total == 40


def test_a_driver_that_is_killed_goes_on_when_it_is_started_again(make_lake: Lake, tmp_path: Path) -> None:
    lake, place = make_lake(), tmp_path / "out"
    argv: list[str | Path] = [
        sys.executable,
        "-m",
        "stellarrow.cli",
        "backfill",
        lake,
        "--tables",
        ",".join(TABLES),
        "--json",
    ]
    argv += ["--to", f"parquet:{place}?ledgers=5", "--workers", "1"]
    driver = subprocess.Popen(argv, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(place.glob("ledgers/0*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    before = len(list(place.glob("ledgers/0*.parquet")))
    assert before
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["ledgers"] + report["skipped"] == 40
    assert held(place) == list(range(100, 140))


def test_the_command_says_what_was_done_and_then_that_nothing_is_left(
    stellarrow: Run, make_lake: Lake, tmp_path: Path
) -> None:
    command = [
        "backfill",
        make_lake(),
        "--tables",
        "ledgers",
        "--to",
        f"parquet:{tmp_path}/out",
        "--workers",
        "1",
    ]
    done = stellarrow(*command)
    assert done.code == 0
    assert done.out.startswith("40 ledgers in ")
    assert stellarrow(*command).out == "nothing to do, 40 ledgers already there\n"


def test_the_rest_is_foretold_from_what_is_done() -> None:
    report = BackfillReport(total=100, skipped=0)
    assert report.eta_seconds is None
    report.ledgers, report.seconds = 25, 10.0
    assert report.eta_seconds == 30.0


def test_a_task_whose_place_does_not_answer_is_tried_again_and_one_that_is_wrong_is_not(
    make_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[sa.StellarrowError] = [sa.SinkUnavailable("away"), sa.SourceUnavailable("away, too")]
    tried: list[str] = []

    def failing(*given: Any, **choices: Any) -> sa.Report:
        tried.append(choices["ledgers"])
        if faults:
            raise faults.pop()
        return sa.run(*given, **choices)

    monkeypatch.setattr(stellarrow.backfilling.work, "run", failing)
    monkeypatch.setattr(stellarrow.backfilling.work, "_WAITS_SECONDS", (0.0, 0.0))
    task = Task(str(make_lake()), ("ledgers",), (f"parquet:{tmp_path}/out",), "100:109")
    assert work(task).ledgers == 10
    assert tried == ["100:109"] * 3
    faults += [sa.SchemaMismatch("of another network")]
    with pytest.raises(sa.SchemaMismatch):
        work(task)
    assert len(tried) == 4
    faults += [sa.SinkUnavailable("away")] * 3
    with pytest.raises(sa.SinkUnavailable):
        work(task)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"wher": "ledger_sequence > 5"}, "no argument 'wher': did you mean where?"),
        ({"dead_letters": object()}, "no argument 'dead_letters'"),
        ({"budget_mb": "64"}, "budget_mb is '64': give a whole number"),
        ({"commit_every": 0}, "commit_every is 0"),
        ({"decoded": 7}, "decoded is 7"),
        ({"where": 7}, "where is 7"),
        ({"sinks": 7}, "sinks is 7"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_told_before_a_worker_begins(wrong: dict[str, Any], told: str) -> None:
    sound: dict[str, Any] = {"tables": ["ledgers"], "sinks": "parquet:/nowhere"}
    with pytest.raises(sa.ConfigError, match=re.escape(told)):
        sa.backfill("/nowhere", **{**sound, **wrong})


def test_workers_are_told_a_filter_and_the_numbers_of_numpy(make_lake: Lake, tmp_path: Path) -> None:
    place, chosen = tmp_path / "out", sa.Filter(where="ledger_sequence < 103")
    numbers: dict[str, Any] = {"workers": np.int64(1), "budget_mb": np.int64(8)}
    sa.backfill(make_lake(100, 105), tables=["ledgers"], sinks=f"parquet:{place}", where=chosen, **numbers)
    assert held(place) == [100, 101, 102]
