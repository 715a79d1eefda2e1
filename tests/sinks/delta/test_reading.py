"""What was written is read back, checked, repaired and tidied up by the commands and in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from sinks.delta.made import plain_files, plain_rows
from sinks.holes import hole_told
from sinks.kept import in_order
from sinks.read_back import PARTS, TABLES, ReadBack, expected, write_parts
from sinks.typed_tables import TypedReadBack

Run = Callable[..., Any]


@pytest.fixture
def lake(make_lake: Callable[..., Path]) -> Path:
    return make_lake()


@pytest.fixture
def written(tmp_path: Path, stellarrow: Run, lake: Path) -> Path:
    """A folder with ledgers 100 to 119 and 130 to 139, in files of ten."""
    folder = tmp_path / "tables"
    write_parts(f"delta:{folder}?ledgers=10", stellarrow, lake)
    return folder


class TestDelta(ReadBack):
    is_sorted_otherwise = True

    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"delta:{tmp_path}/tables?ledgers=10"


class TestTypedTables(TypedReadBack):
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return f"delta:{tmp_path}/tables?ledgers=10"


def test_what_other_tables_have_behind_a_tables_last_ledger_is_told(
    written: Path, lake: Path, stellarrow: Run
) -> None:
    words = ("--tables", "ledgers", "--ledgers", "120:129", "--to", f"delta:{written}")
    assert stellarrow("extract", lake, *words).code == 0
    sa.scan(f"delta:{written}", table="ledgers")  # has all that there is: a warning would be an error
    behind = f"delta:{written.parent}/behind"
    for tables, ledgers in (("ledgers,contract_data", "100:119"), ("ledgers", "120:129")):
        done = stellarrow("extract", lake, "--tables", tables, "--ledgers", ledgers, "--to", behind)
        assert done.code == 0, done.err
    with hole_told("contract_data"):
        sa.scan(behind, table="contract_data")


def data_of(written: Path, ledgers: str) -> Path:
    first, last = (f"{int(one):010d}" for one in ledgers.split(":"))
    return next((written / "contract_data").glob(f"part-{first}-{last}-*.parquet"))


def flip(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[len(held) // 3] ^= 0x40
    path.write_bytes(held)


@pytest.mark.parametrize("harm", [flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_check_finds_a_damaged_file_and_repair_has_its_ledgers_written_again(
    written: Path, stellarrow: Run, lake: Path, ledgers: tuple[bytes, ...], harm: Callable[[Path], object]
) -> None:
    place = f"delta:{written}"
    harm(data_of(written, "110:119"))
    told = json.loads(stellarrow("check", place, "--json").out)
    assert [(one["table"], one["ledgers"]) for one in told["faults"]] == [("contract_data", "110:119")]
    done = stellarrow("check", place, "--repair")
    assert "writes 110 to 119 again" in done.out
    assert stellarrow("check", place).code == 0
    done = stellarrow("extract", lake, *TABLES, "--ledgers", "100:119", "--to", f"{place}?ledgers=10")
    assert done.code == 0, done.err
    assert stellarrow("check", place).code == 0
    due = expected(ledgers, "contract_data", PARTS)
    assert in_order("contract_data", plain_rows(written / "contract_data")) == in_order("contract_data", due)


def test_rows_that_another_program_added_or_took_away_are_told(written: Path, stellarrow: Run) -> None:
    commits = sorted((written / "ledgers" / "_delta_log").glob("*.json"))
    entry = next(line for line in commits[0].read_text().splitlines() if line.startswith('{"add"'))
    again = commits[-1].with_name(f"{len(commits):020d}.json")
    told = json.loads(entry)["add"]
    copy = written / "ledgers" / "copy.parquet"
    copy.write_bytes((written / "ledgers" / told["path"]).read_bytes())
    again.write_text(json.dumps({"add": {**told, "path": copy.name}}))
    done = stellarrow("check", f"delta:{written}")
    assert (done.code, "40 rows of ledgers" in done.out) == (1, True)


def test_compact_merges_what_following_left_and_changes_no_row(
    tmp_path: Path, stellarrow: Run, lake: Path, ledgers: tuple[bytes, ...]
) -> None:
    place = tmp_path / "tables"
    for ledger in (100, 101, 102, 104):
        words = ("--ledgers", str(ledger), "--to", f"delta:{place}")
        assert stellarrow("extract", lake, *TABLES, *words).code == 0
    assert len(plain_files(place / "contract_data")) == 4
    done = stellarrow("compact", f"delta:{place}", "--json")
    assert json.loads(done.out) == {"merged": 8}
    assert len(plain_files(place / "contract_data")) == 1
    due = expected(ledgers, "contract_data", ((100, 102), (104, 104)))
    assert in_order("contract_data", plain_rows(place / "contract_data")) == in_order("contract_data", due)
    assert "nothing to merge" in stellarrow("compact", f"delta:{place}").out
    assert stellarrow("check", f"delta:{place}").code == 0


def test_what_tidies_up_by_itself_is_told_to_need_no_compact(stellarrow: Run) -> None:
    done = stellarrow("compact", "postgres://me@127.0.0.1:1/none")
    assert (done.code, "tidies up by itself" in done.err) == (2, True)


def test_doctor_looks_at_the_place_and_makes_nothing(tmp_path: Path, stellarrow: Run) -> None:
    assert "writable" in stellarrow("doctor", "--to", f"delta:{tmp_path}/new").out
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("delta:", "names no folder or database: write delta:FOLDER"),
        ("delta:out?ledger=5", "unknown option 'ledger': did you mean ledgers?"),
        ("delta:out?ledgers=0", "such as ledgers=1000"),
        ("delta:out?codec=rar", "Parquet files have no codec 'rar'"),
    ],
)
def test_a_location_that_cannot_be_meant_is_a_sentence(
    stellarrow: Run, lake: Path, place: str, told: str
) -> None:
    done = stellarrow("extract", lake, "--tables", "ledgers", "--to", place)
    assert (done.code, told in done.err) == (2, True), done.err


def test_two_sinks_of_one_folder_are_refused(stellarrow: Run, lake: Path, tmp_path: Path) -> None:
    words = ("--to", f"delta:{tmp_path}/out", "--to", f"parquet:{tmp_path}/out")
    done = stellarrow("extract", lake, "--tables", "ledgers", *words)
    assert (done.code, "are one place" in done.err) == (2, True)
