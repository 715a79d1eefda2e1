from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from fakes.postgres import open_folder
from stellarrow.cli.output import result_table

Run = Callable[..., Any]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A demo of twenty small ledgers, in a folder of its own."""
    monkeypatch.setattr("stellarrow.cli.commands.demo._LEDGERS", 20)
    monkeypatch.setattr("stellarrow.cli.commands.demo._LEDGER_BYTES", 20_000)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("small")
def test_the_demo_tells_what_it_made_and_its_advice_works(stellarrow: Run) -> None:
    done = stellarrow("demo")
    assert (done.code, done.err) == (0, "")
    assert "Two real ledgers of the public network" in done.out
    assert "busiest contracts: C" in done.out
    assert re.search(r"MB/s", done.out)
    advice = [
        line.split("stellarrow ", 1)[1]
        for line in done.out.partition("Try next")[2].splitlines()
        if line.startswith("  stellarrow ")
    ]
    assert len(advice) == 6
    for line in advice:
        followed = stellarrow(*shlex.split(line))
        assert (followed.code, followed.err) == (0, ""), line
        if line.startswith("contract C"):
            assert "fn transfer(from: address, to: address, amount: i128)" in followed.out
    assert [line.split()[0] for line in advice].count("contract") == 1


@pytest.mark.usefixtures("small")
def test_the_demo_keeps_the_code_of_every_synthetic_contract_it_can_name(stellarrow: Run) -> None:
    stellarrow("demo")
    code = pq.read_table("stellarrow-data/synthetic/contract_code")
    assert code.num_rows > 0
    assert code.column("code").null_count < code.num_rows


@pytest.mark.usefixtures("small")
def test_a_demo_from_before_contracts_had_code_gets_it(stellarrow: Run) -> None:
    stellarrow("demo")
    shutil.rmtree("stellarrow-data/synthetic/contract_code")
    done = stellarrow("demo")
    assert (done.code, done.err) == (0, "")
    assert "stellarrow contract C" in done.out


@pytest.mark.usefixtures("small")
def test_the_demo_again_says_what_was_there(stellarrow: Run) -> None:
    stellarrow("demo")
    done = stellarrow("demo")
    assert "all 2 ledgers were already there" in done.out
    assert "all 20 ledgers were already there" in done.out


@pytest.mark.usefixtures("small", "postgres")  # skipped where there is none
def test_the_demo_asks_a_postgres_of_its_own_and_is_quick_the_second_time(stellarrow: Run) -> None:
    with open_folder() as data:
        done = stellarrow("demo", "--data", data)
        again = stellarrow("demo", "--data", data)
        assert not (data / "postgres" / "data" / "postmaster.pid").exists()
    assert (done.code, done.err) == (0, "")
    assert "a private server in" in done.out
    asked = [line for line in done.out.splitlines() if line.strip().startswith(("Who", "Which", "What"))]
    assert len(asked) == 3
    assert "native" in done.out.split("What moved most often?")[1]
    assert "all were already there" in again.out


@pytest.mark.usefixtures("small")
def test_the_demo_goes_into_a_database_of_ones_own(stellarrow: Run, database: str) -> None:
    done = stellarrow("demo", "--to", database)
    assert (done.code, done.err) == (0, "")
    assert "What moved most often?" in done.out


@pytest.mark.usefixtures("small")
def test_without_postgres_the_demo_says_so_in_a_line(
    stellarrow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.sinks.postgres.embedded.find_binaries", lambda: None)
    done = stellarrow("demo")
    assert (done.code, done.err) == (0, "")
    assert "PostgreSQL left out: there is no PostgreSQL here to start: install" in done.out


def test_the_longest_amount_stays_whole_where_lines_are_short(capsys: pytest.CaptureFixture[str]) -> None:
    amount = f"{-(10**39 - 1):,}"
    result_table.bare(
        {"asset": False, "balance": True}, [["A", amount], ["ABCDEFGHIJKL", "1"]], Console(width=40)
    )
    assert capsys.readouterr().out.splitlines() == [
        f"    asset         {'balance':>52}",
        f"    A             {amount}",
        f"    ABCDEFGHIJKL  {'1':>52}",
    ]
