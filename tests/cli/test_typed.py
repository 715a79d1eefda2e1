"""Typed tables on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tables.golden import PACKAGED

Run = Callable[..., Any]

LEDGER = PACKAGED / "pubnet-58752000.xdr.zst"
KALE = "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"
FARM = "CDL74RF5BLYR2YBLCCI7F5FB6TPSCLKEJUBSD2RSVWZ4YHF3VMFAIGWA"
CODE = Path(__file__).parents[1] / "data" / "wasm" / "mock_sep_41_token.wasm"
EXTRACT = ("extract", LEDGER, "--network", "pubnet", "--tables")


def test_extract_takes_short_names_and_interfaces(stellarrow: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = ("--name", f"kale={KALE},farm={FARM}", "--spec", f"farm={CODE}")
    code, _, told = stellarrow(*EXTRACT, "typed:kale/events,typed:farm", *names, "--to", f"parquet:{out}")
    assert (code, "warning" in told) == (0, False), told
    query = "select count(*) as many from typed.kale_mint"
    code, rows, told = stellarrow("sql", query, "--data", out, "--csv", "--name", f"kale={KALE}")
    assert (code, rows.split()) == (0, ["many", "12"]), told


def test_code_that_is_not_found_is_told_once_with_what_to_do(stellarrow: Run, tmp_path: Path) -> None:
    (tmp_path / "any.wasm").write_bytes(CODE.read_bytes())
    to = ("--specs", tmp_path, "--to", f"parquet:{tmp_path / 'out'}")
    code, _, told = stellarrow(*EXTRACT, f"typed:{FARM}", *to)
    assert (code, told.count("is not in these ledgers"), told.count(f"--spec {FARM}=FILE.wasm")) == (0, 1, 1)


def test_names_and_interfaces_that_are_none_are_refused(stellarrow: Run, tmp_path: Path) -> None:
    to = ("--to", f"parquet:{tmp_path / 'out'}")
    for flags, told in (
        (("--name", "kale"), "--name is 'kale': write it as NAME=VALUE"),
        (("--spec", f"{FARM}=nowhere.wasm"), "the spec nowhere.wasm cannot be read"),
        (("--spec", f"{FARM}={__file__}"), "is neither WebAssembly nor the entries of a spec"),
        (("--specs", "nowhere"), "--specs is nowhere: name a folder"),
    ):
        code, _, error = stellarrow(*EXTRACT, f"typed:{FARM}", *flags, *to)
        assert (code, told in " ".join(error.split())) == (2, True), error


def test_a_place_made_without_an_interface_is_not_given_the_same_rows_again_with_it(
    stellarrow: Run, tmp_path: Path
) -> None:
    asked = (*EXTRACT, f"typed:{FARM}", "--to", f"parquet:{tmp_path / 'out'}")
    assert stellarrow(*asked).code == 0
    assert stellarrow(*asked).code == 0
    kept = sorted(tmp_path.rglob("*"))
    code, _, error = stellarrow(*asked, "--spec", f"{FARM}={CODE}")
    told = " ".join(error.split())
    assert (code, "Write to another place, or remove the contract's tables there first" in told) == (2, True)
    assert sorted(tmp_path.rglob("*")) == kept
    later = stellarrow(*asked, "--spec", f"{FARM}={CODE}", "--ledgers", "58752001:+1")
    assert "remove the contract's tables" not in later.err
    with_it = (*EXTRACT, f"typed:{FARM}", "--to", f"parquet:{tmp_path / 'two'}", "--spec", f"{FARM}={CODE}")
    assert [stellarrow(*with_it).code for _ in range(2)] == [0, 0]


def test_contract_tells_what_it_ran_and_keeps_and_its_latest_events(stellarrow: Run) -> None:
    code, told, error = stellarrow("contract", KALE, "--source", LEDGER, "--network", "pubnet")
    lines = told.splitlines()
    assert (code, error) == (0, "")
    assert "//   from before these ledgers: the Stellar Asset Contract" in lines
    assert [" ".join(line.split()) for line in lines if "Balance" in line] == ["// Balance 1 key, 1 change"]
    events = lines[lines.index("// latest events") + 1 :]
    assert len(events) == 10
    assert all(
        line.startswith(("//   58752000 mint(admin: C", "//   58752000 burn(from: G")) for line in events
    )
    assert all(", amount: " in line for line in events)


@pytest.mark.parametrize("sink", ["kafka", "clickhouse"])
def test_a_sink_without_columns_for_them_refuses_typed_tables_and_says_what_keeps_them(
    stellarrow: Run, sink: str
) -> None:
    code, _, error = stellarrow(*EXTRACT, f"typed:{KALE}/events/mint", "--to", f"{sink}://127.0.0.1:1")
    told = " ".join(error.split())
    assert (code, "does not keep typed tables" in told, "write them to parquet:FOLDER" in told) == (
        2,
        True,
        True,
    )
