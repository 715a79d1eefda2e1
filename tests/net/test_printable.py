"""Text of others does nothing to a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

import stellarrow as sa
from stellarrow.cli.output.page import Page
from stellarrow.net.printable import one_line, printable

Run = Callable[..., Any]
CLI = Path(sa.__file__).parent / "cli"
STEERING = "\x1b]0;title\x07\x1b[2J\x9b31m\u202edrow"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_what_steers_or_turns_round_is_an_escape_and_all_else_stays() -> None:
    assert printable("a\tb\nc\r\nd é ☃ \\") == "a\tb\nc\r\nd é ☃ \\"
    assert printable("\x1b[1m\x07\x7f\x9b\u202e\u2066\rx\udcff") == (
        r"\x1b[1m\x07\x7f\x9b\u202e\u2066\rx\udcff"
    )
    assert one_line("a\tb\r\n\u2028") == r"a\tb\r\n\u2028"


@pytest.mark.parametrize(
    "arguments",
    [
        *(["inspect", STEERING], ["coverage", STEERING], ["check", STEERING], ["lake", "check", STEERING]),
        *(["contract", STEERING], ["schema", STEERING], [STEERING], ["doctor", STEERING]),
        ["extract", STEERING, "--tables", "ledgers", "--network", "pubnet"],
        ["extract", ".", "--tables", STEERING, "--network", f"passphrase:{STEERING}"],
        ["doctor", "--to", f"postgres://{STEERING}@127.0.0.1:1/x"],
    ],
)
def test_no_message_steers_the_terminal_by_what_was_typed(stellarrow: Run, arguments: list[str]) -> None:
    done = stellarrow(*arguments)
    assert done.code in (1, 2)
    assert not RAW.search(done.out + done.err)
    assert r"\x1b]0;title\x07" in done.out + done.err


def test_a_file_that_others_named_steers_no_terminal(stellarrow: Run, tmp_path: Path) -> None:
    (tmp_path / "x.xdr").write_bytes(sa.synth(2))
    sa.run(f"{tmp_path}/x.xdr", tables=["ledgers"], sinks=[f"parquet:{tmp_path}/o"], network="synthetic")
    (tmp_path / "o/ledgers" / STEERING).write_bytes(b"")
    done = stellarrow("check", tmp_path / "o")
    assert not RAW.search(done.out)
    assert r"\x1b]0;title\x07" in done.out
    named = json.loads(stellarrow("check", tmp_path / "o", "--json").out)["foreign"]
    assert named == [f"ledgers/{STEERING}"]


@pytest.mark.parametrize("kind", [str, Text])
def test_a_cell_of_a_table_is_told_whole_though_escapes_are_longer(kind: type[str | Text]) -> None:
    page, drawn = Page(file=StringIO(), width=60), Table(box=None)
    drawn.add_column(overflow="fold")
    drawn.add_row(kind("\x1b\x9b\u202e\u2066 and the end"))
    page.print(drawn, highlight=False)
    assert "".join(page.file.getvalue().split()) == r"\x1b\x9b\u202e\u2066andtheend"  # type: ignore[attr-defined]


def test_commands_say_everything_in_one_place() -> None:
    around = re.compile(r"click\.s?echo\(|\bConsole\(|\bprint\((?!line)|std(?:out|err)\.write")
    own = {CLI / "output/said.py", CLI / "output/page.py"}
    found = {
        f"{path.relative_to(CLI)}: {line.strip()}"
        for path in sorted({*CLI.rglob("*.py")} - own)
        for line in path.read_text("utf-8").splitlines()
        if around.search(line) and ".print(" not in line and "def _print" not in line
    }
    assert found == set()
