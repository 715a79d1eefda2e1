"""Typed tables on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from stellarrow.cli import contract_report
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from tables.golden import PACKAGED

Run = Callable[..., Any]

LEDGER = PACKAGED / "pubnet-58752000.xdr.zst"
KALE = "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"
FARM = "CDL74RF5BLYR2YBLCCI7F5FB6TPSCLKEJUBSD2RSVWZ4YHF3VMFAIGWA"
EXCHANGE = "CCM3CUMRWBUYNHRYNPSL273MX35O2XHHWBPJXPI6LJ77QSTDNYAHEWE6"
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


def test_files_call_them_as_every_other_sink_does(stellarrow: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = (*EXTRACT, f"typed:{KALE}/events", "--to", f"parquet:{out}")
    done = [stellarrow(*asked), stellarrow(*asked, "--verify")]
    assert [one.code for one in done] == [0, 0], done
    told = json.loads(stellarrow("coverage", out, "--json").out)
    assert f"typed:{KALE}/events/mint" in {one["table"] for one in told["tables"]}


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
        (("--name", f"farm={FARM}", "--spec", f"frm={CODE}"), "--spec frm=…: 'frm' is neither"),
        (("--name", f"farm={FARM}", "--spec", f"frm={CODE}"), "did you mean 'farm'?"),
        (("--spec", f"farm={CODE}"), "write typed:C…, or a short name and --name farm=C…"),
        (("--spec", f"{FARM[:-1]}B={CODE}"), "is neither a contract (C…)"),
        (("--spec", f"{KALE}={CODE}"), f"--tables asks for typed tables of {FARM} alone"),
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


def test_a_short_name_that_is_not_given_is_answered_with_those_that_are(stellarrow: Run) -> None:
    for asked, flags, told in (
        ("typed:kale/events", (), "typed:kale/events: 'kale' is neither a contract (C…)"),
        ("typed:kale/events", (), "write typed:C…, or a short name and --name kale=C…"),
        ("typed:kael", ("--name", f"kale={KALE}"), "did you mean 'kale'?"),
        ("typed:kale", ("--name", "kale=CABC"), "'CABC', which is named 'kale', is neither a contract"),
        (f"typed:{KALE[:-1]}", (), "check its letters and digits"),
        ("typed:", (), "typed:: '' is neither"),
    ):
        code, _, error = stellarrow(*EXTRACT, asked, *flags, "--to", "parquet:nowhere")
        assert (code, told in " ".join(error.split())) == (2, True), error


def upgraded(folder: Path) -> Path:
    """Write ledgers in which the code of EXCHANGE is replaced."""
    made = islice(synthetic(50, seed=35, first=100, ledger_bytes=100_000), 12)
    file = folder / "ledgers.xdr"
    file.write_bytes(frame([*made], "record-marked"))
    return file


def test_contract_tells_the_ledgers_of_each_code_and_the_values_of_events_that_nothing_declares(
    stellarrow: Run, tmp_path: Path
) -> None:
    code, told, error = stellarrow(
        "contract", EXCHANGE, "--source", upgraded(tmp_path), "--network", "synthetic"
    )
    assert (code, error) == (0, "")
    lines = told.splitlines()
    at = lines.index("// code")
    assert lines[at + 1 : at + 5 : 2] == ["//   from ledger 100 to 102:", "//   from ledger 103:"]
    assert all(re.fullmatch("//     [0-9a-f]{64}", line) for line in lines[at + 2 : at + 6 : 2])
    kept = lines[lines.index("// storage") + 1 : lines.index("// latest events")]
    cases = [line.split()[1] for line in kept]
    assert cases == [*sorted(cases[:-1]), "_other"]
    assert re.search(r"(?m)^//   111 trade\(C\w{55}, \[\d+, -50000000\]\) \[no_match\]$", told)


def test_contract_takes_an_interface_that_the_ledgers_do_not_have(stellarrow: Run, tmp_path: Path) -> None:
    asked = ("contract", FARM, "--source", LEDGER, "--network", "pubnet")
    code, told, error = stellarrow(*asked, "--spec", f"{FARM}={CODE}")
    assert (code, error) == (0, "")
    assert "fn transfer(from: address, to: address, amount: i128)" in told
    assert f"//     {sha256(CODE.read_bytes()).hexdigest()}" in told
    (tmp_path / "any.wasm").write_bytes(CODE.read_bytes())
    code, told, error = stellarrow(*asked, "--specs", tmp_path)
    assert (code, "fn " in told, error.count(f"--spec {FARM}=FILE.wasm")) == (0, False, 1)
    for flags, reason in (
        (("--spec", f"{KALE}={CODE}"), f"and {FARM} is asked for"),
        (("--spec", "farm"), "write it as NAME=VALUE"),
    ):
        code, _, error = stellarrow(*asked, *flags)
        assert (code, reason in " ".join(error.split())) == (2, True), error
    code, _, error = stellarrow("contract", FARM, "--specs", tmp_path)
    assert (code, "give those with --source" in error) == (2, True)


def test_contract_fits_a_terminal(stellarrow: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = ("contract", KALE, "--source", LEDGER, "--network", "pubnet")
    whole = stellarrow(*asked).out
    monkeypatch.setattr(contract_report, "_width", lambda: 80)
    told = stellarrow(*asked).out
    assert max(map(len, told.splitlines())) <= 80 < max(map(len, whole.splitlines()))
    assert "KALE:GBDV…KALE" in told
    assert told.count("mint(admin: CDL7…IGWA") == whole.count(f"mint(admin: {FARM}")
    made = ("contract", EXCHANGE, "--source", upgraded(tmp_path), "--network", "synthetic")
    assert max(map(len, stellarrow(*made).out.splitlines())) <= 80


def test_contract_tells_of_an_extract_what_its_tables_have(stellarrow: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ("contract", KALE, "--source")
    told = stellarrow(*asked, LEDGER, "--network", "pubnet").out
    assert stellarrow(*EXTRACT, f"typed:{KALE}", "--to", f"parquet:{out}").code == 0
    code, kept, error = stellarrow(*asked, out)
    assert (code, error) == (0, "")
    assert kept.partition("// storage")[2] == told.partition("// storage")[2]
    assert "//   from ledger 58752000: the Stellar Asset Contract" in kept
