from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stellarrow.cli import invoke
from stellarrow.lifecycle import compressing
from stellarrow.records.in_folder import FolderRecords
from stellarrow.records.lease import Lease, Renewed
from stellarrow.security import audit_log
from stellarrow.storage.local_files import LocalFiles

Cli = Callable[..., tuple[int, str]]


@pytest.fixture
def place(tmp_path: Path, make_lake: Callable[..., Path], run: Cli, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty ledgers in files of ten, of 2024."""
    monkeypatch.chdir(tmp_path)
    lake = make_lake()
    code, _ = run("extract", str(lake), "--tables", "ledgers", "--to", "parquet:place?ledgers=10")
    assert code == 0
    return tmp_path / "place"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Cli:
    def called(*argv: str) -> tuple[int, str]:
        capsys.readouterr()
        code = invoke(list(argv))
        return code, capsys.readouterr().out

    return called


def test_a_dry_run_names_each_file_and_changes_nothing(place: Path, run: Cli) -> None:
    before = sorted(place.rglob("*"))
    for verb in (["plan"], ["run", "--dry-run"]):
        code, said = run("lifecycle", *verb, "place", "--archive", "old")
        assert code == 0
        assert said.count("archive: ledgers/") == 4
        assert "archive: ledgers/0000000100-0000000109.parquet\n" in said
    assert sorted(place.rglob("*")) == before
    assert not (place.parent / "old").exists()
    assert not (place.parent / "stellarrow-state").exists()


def test_what_the_next_run_deletes_of_the_archive_is_told_before(place: Path, run: Cli) -> None:
    code, said = run("lifecycle", "run", str(place), "--archive", "old")
    assert (code, "4 ranges in the archive" in said, "the next run does it" in said) == (0, True, True)
    code, said = run("lifecycle", "run", "place", "--archive", "old")
    assert (code, said.count("delete archived: ledgers"), "the next run" in said) == (0, 4, False)


def test_what_the_policy_keeps_is_not_said_to_go(place: Path, run: Cli) -> None:
    _, said = run("lifecycle", "run", str(place), "--archive", "old", "--parquet-policy", "archive 1d")
    assert "the next run" not in said


def test_coverage_tells_archived_and_deleted_apart_and_extract_fetches_nothing_again(
    place: Path, run: Cli
) -> None:
    policy = ("--parquet-policy", "archive 1d")
    assert run("lifecycle", "run", "place", "--archive", "old", *policy)[0] == 0
    code, said = run("coverage", "place", "--json")
    told = json.loads(said)["tables"][0]
    assert (code, told["ledgers"], told["missing"]) == (0, "", "")
    assert (told["archived"], told["deleted"]) == ("100:139", "")
    assert "archived 100" in run("coverage", "place")[1]
    extract = ("extract", "lake", "--tables", "ledgers", "--to", "parquet:place?ledgers=10")
    old = "not fetched again, as they were too old: 40 ledgers archived (100 to 139); see docs/lifecycle.md"
    assert run(*extract) == (0, f"nothing new\n{old}\n")
    assert "already there: 0 ledgers\nnot fetched again" in run(*extract, "--dry-run")[1]
    assert not [*place.glob("ledgers/*.parquet")]
    assert json.loads(run("coverage", "old", "--json")[1])["tables"][0]["ledgers"] == "100:139"
    policy = ("--parquet-policy", "archive 1d, delete 2d")
    assert run("lifecycle", "run", "place", *policy)[0] == 0
    told = json.loads(run("coverage", "place", "--json")[1])["tables"][0]
    assert (told["archived"], told["deleted"], told["missing"]) == ("", "100:139", "")
    said = json.loads(run(*extract, "--json")[1])
    assert (said["skipped"], said["archived"], said["deleted"]) == (40, "", "100:139")
    assert run("check", "place") == (0, "0 files sound: 0 rows, 0 B\n")
    assert run("lifecycle", "run", "place")[1] == "nothing is due\n"


def test_each_step_and_each_run_is_a_line_of_the_audit_log(place: Path, run: Cli) -> None:
    assert run("lifecycle", "run", "place", "--archive", "old", "--json")[0] == 0
    log = place.parent / "stellarrow-state" / "audit.jsonl"
    audit_log.verify(log)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["event"] for one in events] == ["data archived"] * 4 + ["lifecycle run"]
    assert events[0]["target"].endswith("place/ledgers 100:109")
    assert {one["method"] for one in events} == {"stellarrow lifecycle"}


def test_status_says_what_is_where(place: Path, run: Cli) -> None:
    said = json.loads(run("lifecycle", "status", "place", "--archive", "old", "--json")[1])
    assert said["tables"][0]["due"] == {"archive": "100:139"}
    run("lifecycle", "run", "place", "--archive", "old")
    one = json.loads(run("lifecycle", "status", "place", "--json")[1])["tables"][0]
    assert (one["here"], one["archived"], one["archives"]) == ("", "100:139", [str(place.parent / "old")])
    assert "archived 100:139 in" in run("lifecycle", "status", "place")[1]


def test_an_archive_may_have_any_name_and_what_steers_a_terminal_is_no_credential(
    place: Path, run: Cli
) -> None:
    code, said = run("lifecycle", "run", "place", "--archive", "old\u200f\x9b")
    assert (code, "4 ranges done" in said) == (0, True), said
    assert "archived 100:139 in" in run("lifecycle", "status", "place")[1]
    assert (place.parent / "old\u200f\x9b" / "ledgers").is_dir()


def test_what_somebody_reads_is_counted_and_is_no_failure(place: Path, run: Cli) -> None:
    with LocalFiles(place).reading("ledgers/_manifest"):
        assert run("lifecycle", "run", "place", "--parquet-policy", "delete 30d") == (
            0,
            "4 in use, taken next time\n0 ranges done, 0 B freed\n",
        )
        said = json.loads(run("lifecycle", "run", "place", "--parquet-policy", "delete 30d", "--json")[1])
    assert (said["in_use"], said["problems"]) == (4, [])
    assert "4 ranges done" in run("lifecycle", "run", "place", "--parquet-policy", "delete 30d")[1]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--archive", "place/old"], "lie in each other"),
        (["--archive", "."], "lie in each other"),
        (["--archive", "s3://somebody:secret@bucket/old"], "has a credential in its URL"),
        (["--archive", "s3://bucket/old?endpoint=http://127.0.0.1:9"], "AWS_ENDPOINT_URL"),
        (["--parquet-policy", "archive 9d, delete 3d"], "deletes before it archives"),
        (["--parquet-policy", "archive soon"], "write it as"),
        (["--json-policy", "delte 3d"], "delete"),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    assert place.exists()
    assert invoke(["lifecycle", "plan", "place", *flags]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_a_schedule_waits_until_it_is_asked_to_end(place: Path) -> None:
    argv = [sys.executable, "-m", "stellarrow.cli", "lifecycle", "run", "place"]
    argv += ["--archive", "old", "--schedule", "* * * * * UTC"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            for _ in range(4):
                assert process.stdout.readline().startswith("archive: ledgers")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert not [*place.glob("ledgers/*.parquet")]


@pytest.mark.parametrize("verb", [["lifecycle", "run"], ["compact"]])
def test_who_comes_while_another_holds_the_lease_says_so_and_does_nothing(
    place: Path, run: Cli, verb: list[str]
) -> None:
    name = hashlib.sha256(b"place").hexdigest()[:16]
    lease = Lease(FolderRecords(place.parent / "shared"), name, seconds=0.4, holder="the other")
    lease.take(stopped=lambda _: False)
    before = sorted(place.rglob("*"))
    argv = [*verb, "place", "--lease", "shared"]
    with Renewed(lease):
        code, said = run(*argv)
    assert (code, said.startswith("the other is at it just now")) == (0, True), said
    assert sorted(place.rglob("*")) == before
    assert "is at it" not in run(*argv)[1]


def test_what_becomes_no_smaller_is_said_to_stay(
    place: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressing, "LEVEL", -7)
    monkeypatch.setattr(compressing, "MERGED_LEDGERS", 10)
    code, said = run("lifecycle", "run", str(place), "--parquet-policy", "compress 1d")
    assert code == 0
    assert "ledgers 100:109 stays as it was, as it becomes no smaller" in said
