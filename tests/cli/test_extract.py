from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stellarrow.cli.output import formatting, progress_bar
from stellarrow.core.framing import frame
from stellarrow.pipeline.loop import Progress
from stellarrow.storage.local_files import LocalFiles

Run = Callable[..., Any]
Lake = Callable[..., Path]


def sequences(folder: Path) -> list[int]:
    files = sorted(folder.glob("*.parquet"))
    return [one for path in files for one in pq.read_table(path).column("ledger_sequence").to_pylist()]


def test_a_lake_becomes_tables(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    done = stellarrow(
        "extract", make_lake(), "--tables", "ledgers,contract_data", "--to", f"parquet:{tmp_path}/out"
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("40 ledgers (100 to 139) in ")
    assert sequences(tmp_path / "out" / "ledgers") == list(range(100, 140))


def test_files_are_written_without_pandas_which_takes_longer_to_import_than_a_small_file_to_extract(
    make_lake: Lake, tmp_path: Path
) -> None:
    words = ["extract", str(make_lake()), "--tables", "contract_events", "--to", f"parquet:{tmp_path}/out"]
    code = f"import sys; from stellarrow.cli import invoke; invoke({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert list((tmp_path / "out").rglob("*.parquet"))
    assert "pandas" not in done.stdout.split()


def test_the_default_place_is_where_sql_looks(
    stellarrow: Run, make_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert stellarrow("extract", make_lake(), "--tables", "ledgers").code == 0
    assert "40" in stellarrow("sql", "select count(*) from ledgers").out


def test_the_same_command_again_has_nothing_to_do(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    command = ["extract", make_lake(), "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out"]
    stellarrow(*command)
    assert stellarrow(*command).out == "nothing to do, 40 ledgers already there\n"


def test_the_report_as_json(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    command = ["extract", make_lake(), "--tables", "all", "--to", f"parquet:{tmp_path}/out", "--json"]
    report = json.loads(stellarrow(*command, "--ledgers", "100:+10,120").out)
    assert (report["ledgers"], report["ranges"], report["gaps"]) == (11, "100:109, 120", "")
    assert report["rows"]["ledgers"] == 11
    assert {"ledgers", "contract_data", "contract_events"} <= set(report["rows"])


def test_a_dry_run_foretells_and_writes_nothing(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    command = ["extract", make_lake(), "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out", "--dry-run"]
    done = stellarrow(*command, "--ledgers", "130:149")
    assert done.code == 0
    assert done.out.startswith("would extract 10 ledgers (130 to 139), ")
    assert "missing in the source: 140 to 149 (10 ledgers)" in done.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("url", [True, False])
@pytest.mark.parametrize("named", [["--ledgers", "100:139"], []])
def test_a_dry_run_counts_the_holes_of_the_source(
    stellarrow: Run, make_lake: Lake, tmp_path: Path, *, url: bool, named: list[str]
) -> None:
    lake = make_lake()
    gone = [path for path in lake.rglob("*.zst") if path.is_file()][3]
    gone.unlink()
    command = ["extract", f"file://{lake}" if url else lake, "--tables", "ledgers", *named]
    done = stellarrow(*command, "--to", f"parquet:{tmp_path}/out", "--dry-run", "--json")
    answer = json.loads(done.out)
    assert answer["missing_ledgers"] > 0
    assert answer["missing"]
    wanted = answer["ledgers"] + answer["missing_ledgers"]
    assert wanted == 40


@pytest.mark.parametrize("format", ["parquet", "jsonl", "csv"])
def test_a_dry_run_and_coverage_leave_a_folder_as_it_is(
    stellarrow: Run, make_lake: Lake, tmp_path: Path, format: str
) -> None:
    command = ["extract", make_lake(), "--tables", "ledgers", "--to", f"{format}:{tmp_path}/out"]
    stellarrow(*command, "--ledgers", "100:109")
    (tmp_path / "out" / "ledgers" / "_manifest" / "0000000100-0000000109.json").unlink()  # as after a crash

    def state() -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in (tmp_path / "out").rglob("*")}

    before = state()
    assert stellarrow(*command, "--dry-run").code == 0
    stellarrow("coverage", f"{format}:{tmp_path}/out")
    stellarrow("doctor", "--to", f"{format}:{tmp_path}/out")
    assert state() == before


def test_a_dry_run_of_what_is_done_is_nothing(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    command = ["extract", make_lake(), "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out", "--json"]
    stellarrow(*command)
    answer = json.loads(stellarrow(*command, "--dry-run").out)
    assert (answer["ledgers"], answer["skipped"], answer["stored_bytes"]) == (0, 40, 0)


def test_files_that_do_not_tell_their_network_need_the_option(
    stellarrow: Run, ledgers: tuple[bytes, ...], tmp_path: Path
) -> None:
    path = tmp_path / "ledgers.xdr"
    path.write_bytes(frame(ledgers, "record-marked"))
    command = ["extract", path, "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out"]
    done = stellarrow(*command)
    assert (done.code, "give --network" in done.err) == (2, True)
    assert stellarrow(*command, "--network", "synthetic").code == 0


def test_a_network_the_manifest_contradicts_is_refused(
    stellarrow: Run, make_lake: Lake, tmp_path: Path
) -> None:
    to = f"parquet:{tmp_path}/out"
    done = stellarrow("extract", make_lake(), "--tables", "ledgers", "--to", to, "--network", "pubnet")
    assert (done.code, "are of synthetic, not pubnet" in done.err) == (1, True)


def test_ledgers_that_do_not_link_need_the_option(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    lake = make_lake()
    stellarrow("synth", "--ledgers", 1, "--seed", 9, "--first", 120, "--size", "4KB", "--out", lake)
    command = ["extract", lake, "--tables", "ledgers", "--to", f"parquet:{tmp_path}/out"]
    done = stellarrow(*command)
    assert (done.code, "ledger 120" in done.err) == (1, True)
    assert stellarrow(*command, "--no-verify-chain").code == 0


def test_filters_reach_the_rows_and_the_files(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["extract", make_lake(), "--tables", "contract_events", "--to", f"parquet:{out}"]
    assert stellarrow(*command, "--event-names", "transfer", "--no-deleted").code == 0
    path = next((out / "contract_events").glob("*.parquet"))
    answer = b'{"event_names": ["transfer"], "include_deleted": false}'
    assert pq.read_metadata(path).metadata[b"stellarrow.filter"] == answer
    assert set(pq.read_table(path).column("event_name").to_pylist()) == {"transfer"}
    assert stellarrow(*command).code == 1


def test_a_pipe_is_extracted(ledgers: tuple[bytes, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "stellarrow.cli",
            "extract",
            "-",
            "--tables",
            "ledgers",
            "--network",
            "synthetic",
        ],
        input=frame(ledgers, "record-marked", compression_level=1),
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert sequences(tmp_path / "stellarrow-data" / "ledgers") == list(range(100, 140))


def test_off_a_terminal_a_line_is_told_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 4.0, 10.0, 12.0, 21.0])
    monkeypatch.setattr("stellarrow.cli.output.progress_bar.time.monotonic", lambda: next(now))
    state = Progress(wanted=100, skipped=0, ledgers=50, bytes=20_000_000, rows={"a": 7}, last=149)
    with progress_bar.shown("extract") as report:
        for _ in range(4):
            report(state)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == "progress ledgers=50 wanted=100 last=149 ledgers_per_s=5 mb_per_s=2 rows=7 eta_s=10"


def test_on_a_terminal_a_bar_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    drawn = Terminal()
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar.shown("extract") as report:
        report(Progress(wanted=100, skipped=0, ledgers=50, bytes=20_000_000, rows={"a": 7}))
    assert "50 %" in drawn.getvalue()
    assert "ledgers/s" in drawn.getvalue()


@pytest.mark.parametrize(
    ("text", "size"),
    [("4KB", 4_000), ("1.7MB", 1_700_000), ("14.5MiB", 15_204_352), ("900", 900), ("2 gb", 2_000_000_000)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert formatting.read_size(text) == size


def test_transfers_come_from_unified_events_on_request(
    stellarrow: Run, make_lake: Lake, tmp_path: Path
) -> None:
    command = ["extract", make_lake(), "--tables", "token_transfers", "--to", f"parquet:{tmp_path}/out"]
    refused = stellarrow(*command, "--transfers", "unified")
    assert refused.code == 1
    assert "ledger 100" in refused.err  # a synthetic run begins with meta older than CAP-67
    later = [*command, "--ledgers", "135:139"]
    assert stellarrow(*later, "--transfers", "unified").code == 0
    mixed = stellarrow(*later)
    assert (mixed.code, "transfers 'unified'" in mixed.err) == (1, True)


def test_an_extract_beside_another_into_the_same_folder_is_told_so(
    stellarrow: Run, make_lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake, place = make_lake(), tmp_path / "out"
    command = ("extract", lake, "--tables", "ledgers", "--to", f"parquet:{place}")
    other = LocalFiles(place)
    other.create()
    try:
        assert stellarrow(*command).code == 0
    finally:
        other.close()
    assert "another process writes to" in caplog.text
    caplog.clear()
    assert stellarrow(*command).code == 0
    assert caplog.text == ""
