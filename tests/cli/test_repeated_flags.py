"""A flag that is given twice: lists are joined, anything else is wrong usage."""

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
def test_what_is_no_list_is_given_once(stellarrow: Run, make_lake: Lake, verb: str) -> None:
    line = (verb, make_lake(), "--tables", "ledgers")
    done = stellarrow(*line, "--network", "pubnet", "--network", "testnet")
    assert (done.code, done.err) == (2, "error: --network is given twice and is no list: give it once\n")


def test_what_is_no_list_is_given_once_to_a_verb_below_another(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("lake", "check", tmp_path, "--ledgers", "1:2", "--ledgers", "3:4")
    assert (done.code, "--ledgers is given twice" in done.err) == (2, True)


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
