"""What every command keeps to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import stellarrow as sa
from stellarrow.cli import invoke, main
from stellarrow.cli.app import stellarrow as group
from stellarrow.config import Consumer, Processor, Settings, Source
from stellarrow.config.settings import settings_of

Run = Callable[..., Any]
VERBS = group.list_commands(click.Context(group))


SERVICES = {"source serve": Source, "processor serve": Processor, "sink postgres serve": Consumer}


@pytest.mark.parametrize("verb", ["", *VERBS, *SERVICES])
def test_help_fits_a_screen_and_ends_with_an_example(stellarrow: Run, verb: str) -> None:
    done = stellarrow(*verb.split(), "--help")
    lines = done.out.rstrip().splitlines()
    assert done.code == 0
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    example = next(at for at, line in enumerate(lines) if line.strip().startswith("Example"))
    assert lines[example + 1].strip().startswith("stellarrow")
    assert all(line.startswith("   ") for line in lines[example + 1 :])


@pytest.mark.parametrize(("verb", "service"), SERVICES.items())
def test_every_setting_of_a_service_is_found_from_its_help(
    stellarrow: Run, verb: str, service: type[Settings]
) -> None:
    assert "--help-all" in stellarrow(*verb.split(), "--help").out
    whole = stellarrow(*verb.split(), "--help-all").out
    flags = ["--" + name.replace("_", "-") for name in settings_of(service)]
    assert [flag for flag in flags if f"  {flag} " not in whole] == []


def test_no_command_shows_the_help(stellarrow: Run) -> None:
    assert stellarrow() == stellarrow("--help")


def test_version_is_told(stellarrow: Run) -> None:
    assert stellarrow("--version").out == f"stellarrow, version {sa.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["extrct"], "did you mean extract?"),
        (["frobnicate"], "choose among extract"),
        (["extract", ".", "--tabels", "ledgers"], "--tables"),
        (
            ["extract", ".", "--tables", "contract_dta", "--network", "pubnet"],
            "did you mean 'contract_data'?",
        ),
        (["extract", "."], "--tables"),
        (
            ["extract", ".", "--tables", "ledgers", "--to", "parket:x", "--network", "pubnet"],
            "parquet:FOLDER?",
        ),
        (
            ["extract", ".", "--tables", "ledgers", "--to", "parquet:", "--network", "pubnet"],
            "names no folder",
        ),
        (["extract", "ftp://b/p", "--tables", "ledgers"], "ftp:// is no source of ledgers"),
        (["synth", "--out", "x.xdr", "--size", "big"], "4KB"),
        (["synth", "--ledgers", "0", "--out", "x.xdr"], "--ledgers"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(stellarrow: Run, arguments: list[str], remedy: str) -> None:
    done = stellarrow(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert remedy in done.err


def test_a_failure_is_one_line_and_exit_code_1(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("extract", tmp_path / "nowhere", "--tables", "ledgers")
    assert done.code == 1
    assert done.err == f"error: {tmp_path}/nowhere does not exist: name a file, a folder or a glob\n"


# Every command that takes a place, with one that is not there.
NOT_THERE = [
    *(
        "extract {} --tables ledgers",
        "extract {}/*.xdr --tables ledgers",
        "extract {} --tables ledgers --dry-run",
    ),
    *(
        "extract {} --tables ledgers --verify",
        "inspect {}",
        "contract {id} --source {}",
        "lake write {} --to {}2",
    ),
    *("lake check {}", "sql from-ledgers --data {}", "sql @volume-by-asset --source {} --ledgers 1:2"),
    *(
        "coverage {}",
        "coverage parquet:{}",
        "coverage duckdb:{}",
        "coverage delta:{}",
        "check {}",
        "check parquet:{}",
    ),
    *("check duckdb:{}", "check delta:{}", "compact {}", "compact parquet:{}", "analytics serve --data {}"),
    *(
        "plan {} --shards 2 --to parquet:{}2 --tables ledgers",
        "backfill {} --to parquet:{}2 --tables ledgers",
    ),
    "source serve --source {} --health-port :0 --grpc-address :0 --flight-address :0",
]


@pytest.mark.parametrize("line", NOT_THERE)
def test_a_place_that_is_not_there_is_one_line_and_exit_code_1_with_every_command(
    stellarrow: Run, tmp_path: Path, line: str
) -> None:
    contract = "CDLZFC3SYJYDZT7K67VZ75HPJVIEUVNIXF47ZG2FB2RMQQVU2HHGCYSC"
    gone = str(tmp_path / "gone")
    done = stellarrow(*(word.replace("{id}", contract).replace("{}", gone) for word in line.split()))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert "gone" in done.err
    assert [*tmp_path.iterdir()] == []


def test_debug_shows_where_it_came_from(tmp_path: Path) -> None:
    with pytest.raises(sa.SourceUnavailable):
        invoke(["extract", str(tmp_path / "nowhere"), "--tables", "ledgers", "--debug"])


def test_an_interruption_is_exit_code_130(stellarrow: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stellarrow.registry.open_source", interrupted)
    done = stellarrow("extract", ".", "--tables", "ledgers")
    assert done.code == 130
    assert "same command line" in done.err


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    program = f"{sys.executable} -m stellarrow.cli"
    script = f"{program} --help | true; {program} --help | head -n 1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)  # noqa: S607
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == ""


def test_with_json_an_error_is_json_on_stderr(stellarrow: Run, make_lake: Callable[..., Path]) -> None:
    done = stellarrow("sql", "select 1", "--json", "--csv")
    assert (done.code, done.out) == (2, "")
    assert "choose one" in json.loads(done.err)["error"]["message"]
    lake = make_lake()
    path = next(lake.rglob("*--105.xdr.zst"))
    path.write_bytes(path.read_bytes()[:-9])
    done = stellarrow("extract", lake, "--tables", "ledgers", "--to", f"parquet:{lake}-out", "--json")
    answer = json.loads(done.err)["error"]
    assert (done.code, done.out, answer["kind"]) == (1, "", "DecodeError")
    assert "105.xdr.zst" in answer["message"]


@pytest.mark.parametrize(("chosen", "held"), [(None, "0"), ("1", "1")])
def test_memory_is_had_without_huge_pages_unless_told(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, held: str
) -> None:
    for name in ("MIMALLOC_ALLOW_THP", "GRPC_VERBOSITY"):
        monkeypatch.setenv(name, chosen or "")  # what is set here is undone
        if not chosen:
            monkeypatch.delenv(name)
    monkeypatch.setattr("sys.argv", ["stellarrow", "--version"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert os.environ["MIMALLOC_ALLOW_THP"] == held
