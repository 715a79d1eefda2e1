"""A Parquet footer is proven before anything parses it: one flipped bit there ends Arrow's process."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from stellarrow.errors import Damaged
from stellarrow.sinks.files.formats import trial
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.manifest import checksum
from stellarrow.sinks.files.reading import listings, rows_of
from stellarrow.storage.local_files import LocalFiles

NAME = "0000000100-0000000104"
# In a footer, before the physical type of the first column's first group: `file_offset` 0, then INT32.
TYPE = bytes.fromhex("26001c1502")
TABLE = "ledgers"


@pytest.fixture(params=["ledgers", "date"])
def out(request: pytest.FixtureRequest, make_lake: Callable[..., Path], tmp_path: Path) -> Path:
    """Return a folder of one table, two files of five ledgers."""
    place = f"parquet:{tmp_path / 'out'}?ledgers=5&partition={request.param}"
    sa.run(make_lake(100, 109), tables=[TABLE], sinks=[place], network="synthetic")
    return tmp_path / "out"


def data(out: Path) -> Path:
    return next(out.glob(f"**/{NAME}.parquet"))


def entry(out: Path) -> Path:
    return out / TABLE / "_manifest" / f"{NAME}.json"


def make_deadly(path: Path) -> None:
    """Give a column another type than the schema says, by one bit."""
    held = path.read_bytes()
    at = held.index(TYPE, len(held) - 8 - int.from_bytes(held[-8:-4], "little")) + len(TYPE) - 1
    path.write_bytes(held[:at] + bytes([held[at] ^ 4]) + held[at + 1 :])


def as_before_footers(out: Path) -> None:
    """Write the entries as the version before did."""
    for path in (out / TABLE / "_manifest").iterdir():
        answer = json.loads(path.read_text())
        del answer["checksum"]
        for file in answer["files"]:
            del file["footer_sha256"]
        answer["stellarrow_manifest"] = 2
        path.write_text(json.dumps({**answer, "checksum": checksum(answer)}))


def done(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, which may die."""
    command = [sys.executable, "-m", "stellarrow.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def read(out: Path) -> list[int]:
    (table,) = listings(LocalFiles(out))
    return [one for rows in rows_of(table) for one in rows.column("ledger_sequence").to_pylist()]


def test_the_flip_ends_a_process_that_trusts_the_footer(out: Path) -> None:
    make_deadly(data(out))
    reading = (
        "import sys, pyarrow.parquet as pq; pq.read_metadata(sys.argv[1]).row_group(0).column(0).statistics"
    )
    command = [sys.executable, "-c", reading, str(data(out))]
    assert subprocess.run(command, capture_output=True, check=False).returncode < 0


COMMANDS = {
    "check": ("check",),
    "coverage": ("coverage", "--verify"),
    "compact": ("compact",),
    "sql": ("sql", f"select max(ledger_sequence) from {TABLE}", "--data"),
}


@pytest.mark.parametrize("known", ["entry", "older entry"])
def test_a_flip_in_a_footer_is_told_by_every_command(out: Path, known: str) -> None:
    if known == "older entry":
        as_before_footers(out)
    make_deadly(data(out))
    for words in COMMANDS.values():
        answer = done(*words, out)
        assert answer.returncode == 1, answer
        assert NAME in answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
    with pytest.raises(Damaged, match=NAME):
        read(out)
    with pytest.raises(Damaged, match=NAME):
        sa.scan(out, table=TABLE).to_reader().read_all()


@pytest.mark.parametrize("out", ["ledgers"], indirect=True)
@pytest.mark.parametrize("gone", ["entry", "manifest"])
def test_a_file_that_no_manifest_knows_ends_no_process(out: Path, gone: str) -> None:
    shutil.rmtree(out / TABLE / "_manifest") if gone == "manifest" else entry(out).unlink()
    assert read(out) == [*range(100, 110)]
    make_deadly(data(out))
    for words in COMMANDS.values():
        answer = done(*words, out)
        assert answer.returncode == 1, answer
        assert f"{NAME}.parquet" in answer.stdout + answer.stderr
        assert "SIGABRT" in answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
    with pytest.raises(Damaged, match="SIGABRT"):
        read(out)


@pytest.mark.parametrize("out", ["ledgers"], indirect=True)
def test_a_file_of_other_columns_that_no_manifest_knows_gives_no_rows(out: Path) -> None:
    entry(out).unlink()
    pq.write_table(pa.table({"a": [1]}), data(out))
    for words in COMMANDS.values():
        answer = done(*words, out)
        assert answer.returncode == 1, answer
        assert f"{NAME}.parquet" in answer.stdout + answer.stderr
        assert "stellarrow did not write it" in answer.stdout + answer.stderr
    with pytest.raises(Damaged, match="stellarrow did not write it"):
        sa.scan(out, table=TABLE).to_reader().read_all()


def test_entries_without_a_digest_of_the_footer_are_read_on_and_written_beside(
    out: Path, make_lake: Callable[..., Path]
) -> None:
    as_before_footers(out)
    assert read(out) == [*range(100, 110)]
    partition = "date" if "date" in str(data(out)) else "ledgers"
    place = f"parquet:{out}?ledgers=5&partition={partition}"
    lake = make_lake(100, 114, name="longer")
    sa.run(lake, tables=[TABLE], sinks=[place], network="synthetic")
    assert read(out) == [*range(100, 115)]
    assert done("check", out).returncode == 0


def test_one_who_reads_little_of_a_file_proves_it_by_its_footer_alone(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    footer = Parquet.footer

    def counted(self: Parquet, file: pa.NativeFile) -> bytes:
        asked.append(file.size())
        return footer(self, file)

    monkeypatch.setattr(Parquet, "footer", counted)
    monkeypatch.setattr("stellarrow.sinks.files.proof._digest", None)
    assert read(out) == [*range(100, 110)]
    assert len(asked) == 2


def test_files_that_no_manifest_knows_are_tried_by_one_process(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    begin = trial.Trial._begun

    def counted(self: trial.Trial) -> subprocess.Popen[bytes]:
        begun.append(self)
        return begin(self)

    monkeypatch.setattr(trial.Trial, "_begun", counted)
    for _ in range(3):
        with LocalFiles(out).read(str(data(out).relative_to(out))) as file:
            trial.try_out(file)
            assert file.tell() == 0
    assert len(begun) <= 1


def test_a_signal_to_all_of_a_group_is_not_for_the_process_that_tries_files(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    script = (
        "import os, signal, sys, pyarrow as pa\n"
        "from stellarrow.sinks.files.formats import trial\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "with pa.OSFile(sys.argv[1], 'rb') as file:\n"
        "    trial.try_out(file)\n"
        "    os.killpg(0, signal.SIGTERM)\n"
        "    trial.try_out(file)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    answer = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, start_new_session=True
    )
    assert answer.returncode == 0, answer.stderr


def test_a_file_is_tried_where_descriptors_have_passed_what_select_knows(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_000:
        pytest.skip(f"a process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    held = [os.dup(0) for _ in range(1_100)]
    try:
        with pa.OSFile(str(path), "rb") as file:
            trial.Trial().read(file)
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
