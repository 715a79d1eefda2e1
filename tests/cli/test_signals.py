"""Told to stop at any moment and started again, extract ends with the rows of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stellarrow.cli import invoke
from stellarrow.cli.commands.synth import write_lake
from stellarrow.cli.query.interrupting import spare_imports
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
SLOW_SINK = """
import sys, time
from stellarrow import registry as places
from stellarrow.cli import invoke
opened = places.open_sink
def slow(*given, **named):
    sink = opened(*given, **named)
    write = sink.write
    sink.write = lambda batch: (open("writing", "a").close(), time.sleep(0.004), write(batch))
    return sink
places.open_sink = slow
sys.exit(invoke(sys.argv[1:]))
"""
STUCK_SINK = SLOW_SINK.replace("0.004", "60").replace(
    "opened =", "from stellarrow.cli import signals; signals._PATIENCE = 1.0; opened ="
)

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start an extract of a lake whose sink takes its time."""
    begun: list[subprocess.Popen[bytes]] = []

    def run(lake: Path, out: Path, *more: str, program: str = SLOW_SINK) -> subprocess.Popen[bytes]:
        command = [
            "extract",
            str(lake),
            "--tables",
            "ledgers,contract_events",
            "--to",
            f"parquet:{out}",
            *more,
        ]
        begun.append(
            subprocess.Popen(
                [sys.executable, "-c", program, *command, *more],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=tmp_path,
            )
        )
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.communicate()


def make_lake(folder: Path, ledgers: int) -> Path:
    made = islice(synthetic(20, first=995, ledger_bytes=4_096), ledgers)
    write_lake(folder, made, first=995, network=Network.of("synthetic"))
    return folder


def rows(out: Path) -> dict[str, Counter[int]]:
    return {
        table: Counter(pq.read_table(out / table, partitioning=None).column("ledger_sequence").to_pylist())
        for table in ("ledgers", "contract_events")
    }


def leftovers(out: Path) -> list[str]:
    return [name for _, _, names in os.walk(out) for name in names if name.endswith(".tmp")]


def await_writing(tmp_path: Path) -> None:
    """Return once a sink has been written to since the last time."""
    deadline = time.monotonic() + 60
    while not (tmp_path / "writing").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (tmp_path / "writing").unlink()


def stop_and_compare(tmp_path: Path, start: Start, *, ledgers: int, rounds: int) -> None:
    lake = make_lake(tmp_path / "lake", ledgers)
    whole = start(lake, tmp_path / "whole")
    await_writing(tmp_path)
    began = time.monotonic()
    assert whole.wait(120) == 0
    took = time.monotonic() - began
    expected = rows(tmp_path / "whole")
    dice = random.Random(7)  # noqa: S311
    stopped = 0
    for at in range(rounds):
        (tmp_path / "writing").unlink(missing_ok=True)
        out = tmp_path / f"out-{at}"
        number = dice.choice(list(CODES))
        process = start(lake, out)
        await_writing(tmp_path)
        time.sleep(dice.uniform(0, 0.9) * took)
        process.send_signal(number)
        answer, complaint = process.communicate(timeout=12)
        if process.returncode == CODES[number]:
            stopped += 1
            assert b"stopped as asked" in answer
            assert complaint == b""
            assert leftovers(out) == []
        else:  # it was just done
            assert process.returncode in (0, -number)
        assert start(lake, out).wait(120) == 0
        assert rows(out) == expected
    assert stopped > rounds / 3  # or nothing was tried


def test_told_to_stop_and_started_again_it_has_the_same_rows(tmp_path: Path, start: Start) -> None:
    stop_and_compare(tmp_path, start, ledgers=300, rounds=2)


@pytest.mark.slow
def test_told_to_stop_many_times_it_has_the_same_rows(tmp_path: Path, start: Start) -> None:
    stop_and_compare(tmp_path, start, ledgers=600, rounds=30)


@pytest.mark.parametrize("number", CODES)
def test_the_first_signal_ends_it_well_and_says_how_to_go_on(
    tmp_path: Path, start: Start, number: signal.Signals, ledgers: tuple[bytes, ...]
) -> None:
    process = start(Path("-"), tmp_path / "out", "--network", "synthetic")
    assert process.stdin
    process.stdin.write(frame(ledgers[:20], "record-marked"))
    process.stdin.flush()
    await_writing(tmp_path)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(10) == CODES[number]
    answer = process.communicate()[0]
    assert b"20 ledgers (100 to 119)" in answer
    assert b"the same command line continues from there" in answer
    assert sum(rows(tmp_path / "out")["ledgers"].values()) == 20


def test_the_second_signal_ends_it_at_once(tmp_path: Path, start: Start) -> None:
    process = start(
        make_lake(tmp_path / "lake", 50), tmp_path / "out", program=STUCK_SINK.replace("1.0", "60")
    )
    await_writing(tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT


def test_a_batch_that_takes_too_long_is_not_waited_for(tmp_path: Path, start: Start) -> None:
    process = start(make_lake(tmp_path / "lake", 50), tmp_path / "out", program=STUCK_SINK)
    await_writing(tmp_path)
    process.send_signal(signal.SIGTERM)
    answer = process.communicate(timeout=10)[1]
    assert (process.returncode, b"ended without it" in answer) == (143, True)


def test_two_processes_on_one_sink_and_range_leave_each_row_once(tmp_path: Path, start: Start) -> None:
    lake = make_lake(tmp_path / "lake", 300)
    assert start(lake, tmp_path / "whole").wait(60) == 0
    both = [start(lake, tmp_path / "out") for _ in range(2)]
    lines = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], lines
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert leftovers(tmp_path / "out") == []


DEAF = """
import signal, sys, threading
from stellarrow.cli.signals import stopping
with stopping() as stop:
    # Taken by another thread, it does not wake the main thread: as one that comes just before that waits.
    aside = threading.Timer(0.3, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    aside.start()
    stop.event.wait()
sys.exit(stop.exit_code)
"""


def test_a_signal_that_comes_just_before_the_main_thread_waits_is_heard() -> None:
    assert subprocess.run([sys.executable, "-c", DEAF], timeout=20, check=False).returncode == 143


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2, 1.0])
def test_a_long_query_ends_at_once_with_ctrl_c_whenever_it_comes(tmp_path: Path, seconds: float) -> None:
    query = "select count(*) from range(1000000) a, range(1000000) b where (a.range * b.range) % 7 = 3"
    path = tmp_path / "ledgers.xdr"
    path.write_bytes(frame(list(islice(synthetic(1, first=100), 2)), "batch"))
    command = [sys.executable, "-m", "stellarrow.cli", "sql", query]
    command += ["--source", str(path), "--network", "synthetic"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process, ExitStack() as ending:
        ending.callback(process.kill)
        until = time.monotonic() + 60
        while "_duckdb" not in Path(f"/proc/{process.pid}/maps").read_text() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(seconds)  # DuckDB is being imported, opened, given tables, or asked
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.strip()) == (130, "error: interrupted")


IMPORTING = """
import sys, time
from stellarrow.cli.query.interrupting import spare_imports
spare_imports()
try:
    import swallowing
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    sys.exit(7 if swallowing.whole else 1)
"""


def test_ctrl_c_during_an_import_waits_until_it_is_over(tmp_path: Path) -> None:
    lines = ["import os, signal, time", "whole = True", "try:", "    os.kill(os.getpid(), signal.SIGINT)"]
    lines += ["    time.sleep(0.2)", "except KeyboardInterrupt:", "    whole = False"]
    (tmp_path / "swallowing.py").write_text("\n".join(lines))
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", IMPORTING], timeout=60, check=False, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 7


def test_an_error_that_a_library_makes_of_ctrl_c_is_told_as_an_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*_: Any, **__: Any) -> None:
        spare_imports()
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise RuntimeError("Query interrupted")

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("stellarrow.cli.app.stellarrow.main", ended)
    try:
        assert invoke(["sql", "select 1"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "error: interrupted\n"
    monkeypatch.setattr("stellarrow.cli.app.stellarrow.main", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        invoke(["sql", "select 1"])
