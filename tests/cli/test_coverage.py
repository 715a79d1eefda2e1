from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from stellarrow.cli.output.coverage_bar import drawn_bar, shares
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.manifest import checksum

Run = Callable[..., Any]
Lake = Callable[..., Path]


@pytest.fixture
def out(stellarrow: Run, make_lake: Lake, tmp_path: Path) -> Path:
    """Ledgers 100 to 109 and 120 to 129."""
    done = extract(stellarrow, make_lake(), tmp_path / "out", "--ledgers", "100:109,120:129")
    assert done.code == 0
    return tmp_path / "out"


def extract(stellarrow: Run, lake: Path, out: Path, *more: object) -> Any:
    return stellarrow("extract", lake, "--tables", "ledgers,contract_events", "--to", f"parquet:{out}", *more)


def tables(done: Any) -> dict[str, dict[str, Any]]:
    return {one["table"]: one for one in json.loads(done.out)["tables"]}


def test_ranges_gaps_and_the_last_ledger_are_shown(stellarrow: Run, out: Path) -> None:
    done = stellarrow("coverage", f"parquet:{out}")
    assert (done.code, done.err) == (0, "")
    assert "ledgers lacks 110 to 119" in done.out
    assert "100 |##########..........##########| 129" in done.out
    assert "2023-11-14" in done.out
    assert "verified when written" in done.out


def test_programs_read_it_as_json(stellarrow: Run, out: Path) -> None:
    answer = tables(stellarrow("coverage", out, "--json"))
    assert set(answer) == {"ledgers", "contract_events"}
    one = answer["ledgers"]
    assert (one["ledgers"], one["missing"], one["count"]) == ("100:109, 120:129", "110:119", 20)
    assert (one["network"], one["version"], one["last_ledger"]) == ("synthetic", "1.0", 129)
    assert one["last_closed_at"].startswith("2023-11-1")
    assert "chain" not in one


def test_what_should_be_there_can_be_said(stellarrow: Run, out: Path) -> None:
    answer = tables(stellarrow("coverage", out, "--json", "--ledgers", "90:104"))
    assert answer["ledgers"]["missing"] == "90:99"
    assert tables(stellarrow("coverage", out, "--json", "--ledgers", "125:"))["ledgers"]["missing"] == ""


def test_a_range_behind_the_last_ledger_is_told(stellarrow: Run, out: Path) -> None:
    done = stellarrow("coverage", out, "--ledgers", "5000:")
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: nothing is here from ledger 5,000 on: the last ledger here is 129\n"


def test_tables_in_folders_below_are_found(stellarrow: Run, out: Path) -> None:
    assert set(tables(stellarrow("coverage", out.parent, "--json"))) == {"out/ledgers", "out/contract_events"}


def test_reading_again_counts_rows_and_follows_the_chain(stellarrow: Run, out: Path) -> None:
    done = stellarrow("coverage", out, "--verify", "--json")
    answer = tables(done)
    assert (done.code, answer["ledgers"]["rows"], answer["ledgers"]["faults"]) == (0, 20, [])
    assert answer["ledgers"]["chain"] == "holds, 18 links read again"
    assert answer["contract_events"]["chain"] is None
    drawn = stellarrow("coverage", out, "--verify").out
    assert "chain of hashes: holds, 18 links read again" in drawn


def test_a_damaged_file_is_seen_and_extract_repairs_it(stellarrow: Run, make_lake: Lake, out: Path) -> None:
    path = next((out / "contract_events").glob("0000000100-*.parquet"))
    good = path.read_bytes()
    path.write_bytes(good[:40] + bytes(len(good) - 80) + good[-40:])
    done = stellarrow("coverage", out, "--verify")
    assert (done.code, f"{path.name} has other bytes than it was written with" in done.out) == (1, True)
    path.unlink()
    assert tables(stellarrow("coverage", out, "--json"))["contract_events"]["ledgers"] == "120:129"
    assert extract(stellarrow, make_lake(name="again"), out, "--ledgers", "100:129").code == 0
    assert path.parent.joinpath(path.name).exists() or next(path.parent.glob("0000000100-*"))
    answer = tables(stellarrow("coverage", out, "--verify", "--json"))
    assert answer["contract_events"]["ledgers"] == answer["ledgers"]["ledgers"] == "100:129"


def enter(path: Path) -> None:
    """Let the manifest say of a file what is in it now."""
    entry = path.parent / "_manifest" / f"{path.stem}.json"
    answer = json.loads(entry.read_text())
    rows, digest = pq.read_metadata(path).num_rows, hashlib.sha256(path.read_bytes()).hexdigest()
    answer["files"][0] |= {"bytes": path.stat().st_size, "rows": rows, "sha256": digest}
    del answer["checksum"], answer["files"][0]["footer_sha256"]
    entry.write_text(json.dumps({**answer, "checksum": checksum(answer)}))


def test_a_broken_chain_is_seen(stellarrow: Run, out: Path) -> None:
    path = next((out / "ledgers").glob("0000000100-*.parquet"))
    rows = pq.read_table(path, partitioning=None)
    hashes = rows.column("ledger_hash").to_pylist()
    hashes[4] = "0" * 64
    at = rows.schema.get_field_index("ledger_hash")
    changed = rows.set_column(at, rows.schema.field(at), pa.array(hashes))
    pq.write_table(changed.replace_schema_metadata(pq.read_metadata(path).metadata), path)
    enter(path)
    done = stellarrow("coverage", out, "--verify")
    assert (done.code, "ledger 105 does not follow 104" in done.out) == (1, True)


def test_nothing_there_is_told(stellarrow: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no table yet" in stellarrow("coverage", tmp_path / "empty").err
    missing = stellarrow("coverage", tmp_path / "nowhere")
    assert (missing.code, "does not exist" in missing.err) == (1, True)


def test_extract_can_compare_row_counts_with_the_source(stellarrow: Run, make_lake: Lake, out: Path) -> None:
    lake = make_lake(name="again")
    done = extract(stellarrow, lake, out, "--verify")
    assert done.code == 0
    assert "compared 20 ledgers" in done.out
    assert "every row count agrees" in done.out
    assert "not extracted: 110 to 119, 130 to 139" in done.out
    path = next((out / "contract_events").glob("0000000120-*.parquet"))
    rows = pq.read_table(path, partitioning=None)
    pq.write_table(rows.slice(1).replace_schema_metadata(pq.read_metadata(path).metadata), path)
    enter(path)
    done = extract(stellarrow, lake, out, "--verify", "--json")
    answer = json.loads(done.out)
    ledger = rows.column("ledger_sequence")[0].as_py()
    count = rows.column("ledger_sequence").to_pylist().count(ledger)
    assert done.code == 1
    assert answer["differences"] == [
        {"table": "contract_events", "ledger": ledger, "source": count, "sink": count - 1}
    ]


@pytest.mark.parametrize(
    ("held", "cells", "expected"),
    [("0:99", 4, [1, 1, 1, 1]), ("0:49", 4, [1, 1, 0, 0]), ("10:24,99", 2, [0.3, 0.02]), ("5", 1, [0.01])],
)
def test_each_cell_tells_its_share(held: str, cells: int, expected: list[float]) -> None:
    assert shares(LedgerSet.parse(held), LedgerRange(0, 99), cells) == expected


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_fits_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    span = LedgerRange(58_752_000, 62_000_000)
    held = LedgerSet.parse("58752000:60000000,61000000:61000001")
    console.print(drawn_bar("contract_data", held, span, console))
    (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    drawn = Console(file=io.StringIO(), width=width)
    assert drawn.measure(line).maximum >= 40
    assert "█" in line
    assert "░" in line


def test_a_database_is_looked_into_like_a_folder(stellarrow: Run, make_lake: Lake, database: str) -> None:
    pytest.importorskip("psycopg")
    answer = dict(part.split("=", 1) for part in database.split())
    url = "postgresql:///{dbname}?host={host}&port={port}&user={user}".format(**answer)
    assert "holds no table yet" in stellarrow("coverage", url).err
    lake = make_lake()
    command = ["extract", lake, "--tables", "ledgers,contract_events", "--to", url]
    assert stellarrow(*command, "--ledgers", "100:109,120:129").code == 0
    done = stellarrow("coverage", url, "--verify", "--json")
    one = tables(done)["ledgers"]
    assert (one["ledgers"], one["rows"], one["faults"]) == ("100:109, 120:129", 20, [])
    assert (one["chain"], one["network"]) == ("holds, 18 links read again", "synthetic")
    assert one["last_closed_at"].startswith("2023-11-1")
    assert "every row count agrees" in stellarrow(*command, "--verify").out


def test_a_table_that_lost_every_file_is_a_gap_and_not_an_error(stellarrow: Run, out: Path) -> None:
    for path in (out / "contract_events").glob("*.parquet"):
        path.unlink()
    done = stellarrow("coverage", out, "--json")
    assert tables(done)["contract_events"]["ledgers"] == ""
    assert stellarrow("coverage", out).code == done.code


@pytest.mark.parametrize("verb", ["coverage", "check", "compact"])
def test_a_path_with_a_colon_is_taken_as_one(stellarrow: Run, out: Path, verb: str) -> None:
    odd = out.with_name("a:b")
    out.rename(odd)
    done = stellarrow(verb, odd)
    assert done.code == 0, done.err


@pytest.mark.parametrize("verb", ["coverage", "check", "compact"])
def test_a_file_is_not_said_to_be_missing_where_a_folder_is_meant(
    stellarrow: Run, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "file").write_text("no table")
    done = stellarrow(verb, tmp_path / "file")
    assert done.code == 1
    assert f"{tmp_path}/file is a file: name the folder that extract wrote to" in done.err
