from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("duckdb")

Run = Callable[..., Any]
BIG = 10**37 + 1


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder, first in (("pubnet/ledgers", 1), ("synthetic/ledgers", 5), ("synthetic/balances", 9)):
        (tmp_path / folder).mkdir(parents=True)
        rows = {
            "ledger_sequence": pa.array([first, first + 1], pa.uint32()),
            "balance": pa.array([Decimal(BIG), None], pa.decimal128(38, 0)),
            "closed_at": pa.array([0, 1_700_000_000_000_000], pa.timestamp("us", "UTC")),
            "topics": [["a", "b"], []],
        }
        pq.write_table(pa.table(rows), tmp_path / folder / "0000000001-0000000002.parquet")
    return tmp_path


def test_a_table_is_called_by_its_name(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select max(ledger_sequence) as top from balances", "--data", data, "--csv")
    assert (done.code, done.out, done.err) == (0, "top\n10\n", "")


def test_a_name_in_two_folders_is_qualified(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select count(*) from ledgers", "--data", data)
    assert done.code == 2
    assert "pubnet.ledgers, synthetic.balances, synthetic.ledgers" in done.err
    done = stellarrow("sql", "select min(ledger_sequence) m from synthetic.ledgers", "--data", data, "--csv")
    assert done.out == "m\n5\n"


def test_a_folder_right_below_the_data_keeps_its_name(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select min(ledger_sequence) m from ledgers", "--data", data / "pubnet", "--csv")
    assert done.out == "m\n1\n"


def test_json_keeps_every_digit(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select * from balances order by 1", "--data", data, "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {
            "ledger_sequence": 9,
            "balance": str(BIG),
            "closed_at": "1970-01-01T00:00:00Z",
            "topics": ["a", "b"],
        },
        {"ledger_sequence": 10, "balance": None, "closed_at": "2023-11-14T22:13:20Z", "topics": []},
    ]


def test_sums_are_exact(stellarrow: Run, data: Path) -> None:
    query = "select sum(balance) s, sum(ledger_sequence) n from balances"
    assert stellarrow("sql", query, "--data", data, "--csv").out == f"s,n\n{BIG},19\n"


def test_a_table_is_drawn(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select ledger_sequence, balance from balances", "--data", data)
    assert "ledger_sequence" in done.out
    assert str(BIG) in done.out


def test_many_rows_are_cut_with_a_word_about_it(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select * from range(1000)", "--data", data)
    assert "100 of 1,000 rows; --csv or --json prints all" in done.out


@pytest.mark.parametrize("query", ["selec 1", "select nope from balances", "select * from nope"])
def test_a_wrong_query_is_one_line(stellarrow: Run, data: Path, query: str) -> None:
    done = stellarrow("sql", query, "--data", data)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)


def test_two_queries_at_once_are_refused_as_only_one_is_answered(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", "select 1 as one; select 2 as two", "--data", data)
    assert done.code == 2
    assert "2 queries" in done.err
    done = stellarrow("sql", "set threads = 1; select 2 as two", "--data", data, "--csv")
    assert done.out == "two\n2\n"


def test_a_query_that_is_no_text_is_one_line(stellarrow: Run, data: Path) -> None:
    done = stellarrow(
        "sql", "select '\udcff'", "--data", data
    )  # as Python reads an argument that is no UTF-8
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "which is no text: write it in UTF-8" in done.err


def test_no_data_is_a_failure_with_a_remedy(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("sql", "select 1", "--data", tmp_path)
    assert (done.code, "extract something into it first" in done.err) == (1, True)


def test_data_that_is_not_there_is_told_so(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("sql", "select 1", "--data", tmp_path / "nowhere")
    assert (done.code, "nowhere does not exist: name with --data" in done.err) == (1, True)


def test_data_may_be_named_as_the_sink_that_wrote_it(stellarrow: Run, data: Path) -> None:
    done = stellarrow(
        "sql", "select max(ledger_sequence) as top from balances", "--data", f"parquet:{data}", "--csv"
    )
    assert (done.code, done.out) == (0, "top\n10\n")


def test_a_folder_with_a_quote_is_read(stellarrow: Run, data: Path) -> None:
    odd = data / 'it\'s "odd"'
    (data / "pubnet").rename(odd)
    assert stellarrow("sql", "select count(*) n from ledgers", "--data", odd, "--csv").out == "n\n2\n"


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_rows_are_written_to_a_file_without_losing_a_digit(
    stellarrow: Run, data: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out.{ending}"
    done = stellarrow("sql", "select * from balances order by 1", "--data", data, "--out", out)
    assert (done.code, done.out) == (0, f"2 rows in {out}\n")
    if ending == "parquet":
        assert pq.read_table(out).column("balance").to_pylist() == [Decimal(BIG), None]
    else:
        assert str(BIG) in out.read_text()
    assert list(tmp_path.glob(".*")) == []


def test_a_file_that_cannot_be_written_is_told(stellarrow: Run, data: Path, tmp_path: Path) -> None:
    done = stellarrow("sql", "select 1", "--data", data, "--out", tmp_path / "out.xls")
    assert (done.code, "end it in one of .parquet, .csv" in done.err) == (2, True)
    done = stellarrow("sql", "select 1", "--data", data, "--out", tmp_path / "nowhere" / "out.csv")
    assert (done.code, "choose another place" in done.err) == (1, True)


def test_a_sum_that_38_digits_cannot_hold_is_an_error(stellarrow: Run, data: Path) -> None:
    query = "select sum(balance) from (select balance from balances, range(100))"
    done = stellarrow("sql", query, "--data", data)
    assert (done.code, done.out) == (2, "")
    assert "verflow" in done.err


def test_many_columns_are_shown_row_by_row(stellarrow: Run, data: Path) -> None:
    many = ", ".join(f"'{at}' as column_{at}" for at in range(40))
    done = stellarrow("sql", f"select {many} from balances", "--data", data)
    assert done.out.startswith("row 1 ---")
    assert "column_39" in done.out


def test_a_query_comes_from_a_pipe(data: Path) -> None:
    program = [sys.executable, "-m", "stellarrow.cli", "sql", "--data", str(data), "--csv"]
    done = subprocess.run(program, input="select 7 as n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "n\n7\n", "")


def test_on_a_terminal_it_asks_completes_and_remembers(data: Path, tmp_path: Path) -> None:
    home = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "dumb", "COLUMNS": "100"}
    program = [sys.executable, "-m", "stellarrow.cli", "sql", "--data", str(data)]
    with Terminal(program, home) as terminal:
        terminal.wait_for("stellar=>")
        terminal.type("select max(ledger_sequence) as top\n")
        terminal.wait_for("...>")
        terminal.type("from bal\ts;\n")
        terminal.wait_for("10")
        terminal.type(f".out {tmp_path}/top.csv\n")
        terminal.wait_for("1 row in")
        terminal.type("select nope;\n")
        terminal.wait_for("error: ")
        terminal.type("\x03.tables\n")
        terminal.wait_for("pubnet.ledgers")
        terminal.type(".quit\n")
        assert terminal.process.wait(10) == 0
    assert (tmp_path / "top.csv").read_text() == "top\n10\n"
    assert "from balances;" in (tmp_path / "state" / "stellarrow" / "history").read_text()


WIDE = """
    select 'C' || repeat('A', 55) as contract_id, repeat('word ', 60) as text, 12345678901234567890 as amount,
        'two' || chr(10) || 'lines' || chr(27) || '[2J' as lines, range(40) as many, {more}
    from range(3)
"""


def on_terminal(columns: int, *words: str) -> list[str]:
    """Run the command on a terminal of some width, and return what it prints without colours."""
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with Terminal([sys.executable, "-m", "stellarrow.cli", *words], environ, columns=columns) as terminal:
        terminal.wait_for_end()
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.said)
    return [line.rstrip() for line in plain.replace("\r\n", "\n").split("\n") if line.strip()]


@pytest.mark.parametrize("columns", [30, 80, 120, 200])
@pytest.mark.parametrize("count", [1, 30])
def test_on_a_terminal_of_any_width_a_row_is_a_line(data: Path, columns: int, count: int) -> None:
    more = ", ".join(f"{at} as column_{at}" for at in range(count))
    lines = on_terminal(columns, "sql", WIDE.format(more=more), "--data", str(data))
    assert max(map(len, lines)) <= columns
    assert len(lines) == 8  # a frame of three lines, the header, three rows, what is cut or not shown
    assert all(line.count("…") >= 1 for line in lines[3:6])
    assert "--expanded" in lines[-1]


def test_on_a_terminal_an_id_keeps_both_ends_and_a_number_every_digit(data: Path) -> None:
    hashed = "select repeat('ab', 31) || '0f' as hash, 12345678901234567890 as n, repeat('x', 200) as text"
    row = on_terminal(60, "sql", hashed, "--data", str(data))[3]
    assert re.search(r"abab\S*…\S*ab0f", row)
    assert "12345678901234567890" in row


@pytest.mark.parametrize("columns", [40, 120])
def test_expanded_shows_every_value_whole(data: Path, columns: int) -> None:
    lines = on_terminal(columns, "sql", WIDE.format(more="1 as one"), "--data", str(data), "--expanded")
    assert max(map(len, lines)) <= columns
    assert sum(line.startswith("row ") for line in lines) == 3
    assert "".join(line[13:] for line in lines).count("C" + "A" * 55) == 3
    assert r"two\nlines\x1b[2J" in "".join(line[13:] for line in lines)


def test_what_is_no_terminal_gets_values_whole_on_one_line(stellarrow: Run, data: Path) -> None:
    done = stellarrow("sql", WIDE.format(more="1 as one"), "--data", data)
    assert "C" + "A" * 55 in done.out
    assert "word " * 59 in done.out
    assert "…" not in done.out


def test_the_prompt_shows_rows_expanded_by_turns(data: Path, tmp_path: Path) -> None:
    home = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "dumb"}
    with Terminal([sys.executable, "-m", "stellarrow.cli", "sql", "--data", str(data)], home) as terminal:
        terminal.wait_for("stellar=>")
        terminal.type(".expanded\n")
        terminal.wait_for("row by row")
        terminal.type("select 7 as n;\n")
        terminal.wait_for("row 1 ---")


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, program: list[str], environ: dict[str, str], *, columns: int = 100) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
        os.close(theirs)
        self.said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def type(self, text: str) -> None:
        self.said = ""
        os.write(self.ours, text.encode())

    def wait_for_end(self) -> None:
        said = b""
        with suppress(OSError):  # what a terminal says that nobody holds any more
            while part := os.read(self.ours, 65_536):
                said += part
        self.said += said.decode()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        answers = select.poll()  # select() knows no descriptor from 1,024 on
        answers.register(self.ours, select.POLLIN)
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            if answers.poll(100):
                self.said += os.read(self.ours, 4_096).decode()


@pytest.mark.parametrize("options", ["", "?ledgers=10", "?partition=event_type"])
def test_each_ledger_is_read_once_however_it_was_written(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path, options: str
) -> None:
    command = [
        "extract",
        make_lake(),
        "--tables",
        "contract_events",
        "--to",
        f"parquet:{tmp_path}/out{options}",
    ]
    for ledgers in ("100:105", "106:119", "100:139"):
        assert stellarrow(*command, "--ledgers", ledgers).code == 0
    expected = json.loads(stellarrow(*command, "--verify", "--json").out)["rows"]["contract_events"]
    folder = tmp_path / "out" / "contract_events"
    left = next(folder.rglob("*.parquet"))  # what a killed compaction leaves
    count = "select count(*) n, count(distinct ledger_sequence) l from contract_events"
    answer = stellarrow("sql", count, "--data", tmp_path / "out", "--csv").out
    assert answer.splitlines()[1].startswith(f"{expected},")
    within = left.with_name("0000000101-0000000102.parquet")
    within.write_bytes(left.read_bytes())
    assert stellarrow("sql", count, "--data", tmp_path / "out", "--csv").out == answer


@pytest.mark.parametrize("name", ["d[1]", "e*f", "it's [a-z]"])
def test_a_folder_whose_name_looks_like_a_pattern_is_that_folder(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    data = tmp_path / name
    lake = make_lake()
    assert stellarrow("extract", lake, "--tables", "ledgers", "--to", f"parquet:{data}/ours").code == 0
    foreign = data / "theirs[x]" / "foreign"
    foreign.mkdir(parents=True)
    pq.write_table(pa.table({"a": [1, 2]}), foreign / "z[ab].parquet")
    done = stellarrow("sql", "--data", data, "--csv", "select count(*) from ledgers")
    assert (done.code, done.out.splitlines()[1]) == (0, "40"), done.err
    done = stellarrow("sql", "--data", data, "--csv", 'select sum(a) from "foreign"')
    assert (done.code, done.out.splitlines()[1]) == (0, "3"), done.err


@pytest.mark.parametrize(
    ("form", "codec"),
    [("jsonl", "lz4"), ("jsonl", "brotli"), ("csv", "lz4"), ("csv", "brotli"), ("csv", "gzip")],
)
def test_text_of_every_codec_is_asked_alike(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path, form: str, codec: str
) -> None:
    out = tmp_path / "out"
    to = f"{form}:{out}?codec={codec}&ledgers=20"
    assert stellarrow("extract", make_lake(), "--tables", "contract_events", "--to", to).code == 0
    query = "select count(*) as n, max(ledger_sequence) as top, min(closed_at) as first from contract_events"
    done = stellarrow("sql", query, "--data", out, "--csv")
    assert (done.code, done.err) == (0, "")
    assert done.out == stellarrow("sql", query, "--source", make_lake(), "--csv").out
