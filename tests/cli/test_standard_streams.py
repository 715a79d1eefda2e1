"""Whatever streams a command is given, it works, or says in a sentence why not."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import stellarrow as sa

CLI = f"{shlex.quote(sys.executable)} -m stellarrow.cli"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "all.xdr").write_bytes(sa.synth(2, network="testnet"))
    return tmp_path


def run(here: Path, line: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{CLI} {line}"],
        cwd=here,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stop_no_command_and_get_into_no_file(here: Path, closed: str) -> None:
    line = "extract all.xdr --network testnet --tables ledgers --to jsonl:out"
    assert run(here, f"{line} {closed}")[0] == 0
    (file,) = here.glob("out/ledgers/*.jsonl")
    assert [line[:1] for line in file.read_text().splitlines()] == ["{", "{"]
    assert run(here, f"coverage jsonl:out {closed}")[0] == 0


def test_what_an_encoding_cannot_say_is_escaped_for_people(here: Path) -> None:
    code, said = run(here, "contract --help", PYTHONIOENCODING="latin-1")
    assert (code, r"C\u2026=FILE.wasm" in said) == (0, True)


def test_what_an_encoding_cannot_say_is_refused_where_it_is_data(here: Path) -> None:
    assert run(here, "extract all.xdr --network testnet --tables ledgers --to parquet:out")[0] == 0
    asked = 'sql "select chr(9731) snow from ledgers limit 1" --data out'
    code, said = run(here, f"{asked} --csv", PYTHONIOENCODING="latin-1")
    assert code == 1
    assert r"the output's encoding, iso8859-1, has no '\u2603': set PYTHONIOENCODING=utf-8" in said
    posix = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(here, f"{asked} --out o.csv", **posix)[0] == 0
    assert (here / "o.csv").read_text("utf-8") == "snow\n☃\n"
