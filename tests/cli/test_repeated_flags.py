"""A flag that is given twice: lists are joined, of anything else the last counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from stellarrow.cli import setting_flags
from stellarrow.cli.options import Paged
from stellarrow.config import Processor

Run = Callable[..., Any]
Lake = Callable[..., Path]


def test_lists_that_are_given_twice_are_joined(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> None:
    line = ("extract", make_lake(), "--to", f"parquet:{tmp_path}/out", "--json")
    tables = ("--tables", "ledgers", "--tables", "contract_events,token_transfers")
    done = stellarrow(*line, *tables, "--ledgers", "100:104", "--ledgers", "110:112")
    assert '"ranges": "100:104, 110:112"' in done.out, (done.out, done.err)
    folders = {one.name for one in (tmp_path / "out").iterdir() if one.is_dir()}
    assert folders >= {"ledgers", "contract_events", "token_transfers"}


@pytest.mark.parametrize("verb", ["extract", "backfill", "plan"])
def test_of_what_is_no_list_the_last_counts_and_is_told(stellarrow: Run, make_lake: Lake, verb: str) -> None:
    line = (verb, make_lake(), "--tables", "ledgers")
    done = stellarrow(*line, "--network", "pubnet", "--network", "nothing at all")
    assert done.code
    assert done.err.startswith("warning: --network is given 2 times: the last one counts\nerror: ")
    assert "nothing at all" in done.err


def test_so_it_does_for_a_verb_below_another(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("lake", "check", tmp_path, "--ledgers", "1:2", "--ledgers", "3:4")
    assert "warning: --ledgers is given 2 times" in done.err


def test_a_services_lists_are_joined_too() -> None:
    told: list[Processor] = []

    @click.command(cls=Paged)
    @setting_flags.options(Processor, {})
    def command(settings: Processor) -> None:
        told.append(settings)

    command.main(["--tables", "ledgers", "--tables", "contract_data"], standalone_mode=False)
    command.main([], standalone_mode=False)
    assert told[0].tables == ("ledgers", "contract_data")
    assert told[1].tables == Processor().tables
