from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stellarrow.storage import local_files

Run = Callable[..., Any]
Lake = Callable[..., Path]
SINKS = ["parquet:{}?ledgers=10", "jsonl:{}?ledgers=10&codec=zstd", "csv:{}?ledgers=10&partition=contract_id"]


@pytest.fixture(params=SINKS, ids=lambda sink: sink.partition(":")[0])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(tmp_path / "out")


def extract(stellarrow: Run, lake: Path, place: str, ledgers: str = "100:129") -> Any:
    tables = "ledgers,contract_data"
    return stellarrow("extract", lake, "--tables", tables, "--ledgers", ledgers, "--to", place)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_quarantine(folder: Path) -> dict[str, bytes]:
    return {path: data for path, data in contents(folder).items() if not path.startswith("_quarantine/")}


def data_files(folder: Path, name: str) -> list[Path]:
    return sorted(path for path in folder.rglob(f"{name}.*") if path.suffix != ".json")


def data_file(folder: Path) -> Path:
    found = data_files(folder, "0000000110-0000000119")
    return next(path for path in found if "contract_data" in str(path))


def checked(stellarrow: Run, place: str, *more: str) -> tuple[int, list[dict[str, str]]]:
    done = stellarrow("check", place, "--json", *more)
    return done.code, json.loads(done.out)["faults"]


def test_what_extract_wrote_is_sound(stellarrow: Run, make_lake: Lake, place: str) -> None:
    extract(stellarrow, make_lake(), place)
    assert checked(stellarrow, place) == (0, [])
    assert "sound: " in stellarrow("check", place).out


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("deleted", "is gone"),
        ("cut", " bytes, not the "),
        ("flipped", "has other bytes than it was written with"),
        ("grown", " bytes, not the "),
    ],
)
def test_check_sees_harm_and_extract_repairs_it(
    stellarrow: Run, make_lake: Lake, place: str, tmp_path: Path, *, harm: str, told: str
) -> None:
    lake = make_lake()
    extract(stellarrow, lake, place)
    whole = contents(tmp_path / "out")
    path = data_file(tmp_path / "out")
    held = path.read_bytes()
    if harm == "deleted":
        path.unlink()
    else:
        middle = len(held) // 2
        flipped = held[:middle] + bytes([held[middle] ^ 1]) + held[middle + 1 :]
        path.write_bytes({"cut": held[:middle], "flipped": flipped, "grown": held + b" "}[harm])
    code, faults = checked(stellarrow, place)
    assert (code, [fault["ledgers"] for fault in faults]) == (1, ["110:119"])
    assert path.name in faults[0]["path"]
    assert told in faults[0]["what"]
    assert "--repair moves damaged files into _quarantine/" in stellarrow("check", place).out
    assert "which fetches 110 to 119" in stellarrow("check", place, "--repair").out
    extract(stellarrow, lake, place)
    assert without_quarantine(tmp_path / "out") == whole
    assert checked(stellarrow, place) == (0, [])


def test_a_damaged_manifest_is_seen_and_repaired(
    stellarrow: Run, make_lake: Lake, place: str, tmp_path: Path
) -> None:
    lake = make_lake()
    extract(stellarrow, lake, place)
    whole = contents(tmp_path / "out")
    (tmp_path / "out/contract_data/_manifest/0000000110-0000000119.json").write_text("{")
    code, faults = checked(stellarrow, place, "--repair")
    assert (code, [fault["ledgers"] for fault in faults]) == (0, ["110:119"])
    extract(stellarrow, lake, place)
    assert without_quarantine(tmp_path / "out") == whole


def test_a_file_that_cannot_be_read_ends_the_check_and_nothing_is_moved(
    stellarrow: Run, make_lake: Lake, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(stellarrow, make_lake(), place)
    path = data_file(tmp_path / "out")
    held = path.read_bytes()
    monkeypatch.setattr(
        local_files, "irregularity", lambda *_: None
    )  # the link is to stand for a failing disk
    flipped = next(
        one for one in data_files(tmp_path / "out", "0000000100-0000000109") if "contract_data" in str(one)
    )
    flipped.write_bytes(flipped.read_bytes()[:-1])
    path.unlink()
    path.symlink_to("/proc/self/mem")  # opens, and answers EIO when it is read
    for more in ((), ("--repair",)):
        done = stellarrow("check", place, *more)
        assert done.code == 1
        assert f"{path.name} cannot be read" in done.err
        assert not (tmp_path / "out" / "_quarantine").exists()
    path.unlink()
    path.write_bytes(held)
    assert [fault["ledgers"] for fault in checked(stellarrow, place)[1]] == ["100:109"]


def test_what_repair_moved_is_told_and_listed(
    stellarrow: Run, make_lake: Lake, place: str, tmp_path: Path
) -> None:
    extract(stellarrow, make_lake(), place)
    path = data_file(tmp_path / "out")
    path.write_bytes(path.read_bytes()[:-1])
    moved = str(path.relative_to(tmp_path / "out"))
    assert f"moved {moved} to _quarantine/" in stellarrow("check", place, "--repair").out
    done = stellarrow("check", place)
    assert done.code == 0
    assert "_quarantine/ has " in done.out
    listed = json.loads(stellarrow("check", place, "--json").out)["quarantine"]
    assert any(one.endswith(f"Z/{moved}") for one in listed)


def test_a_folder_without_tables_is_not_called_sound(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("check", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "holds no tables: name the folder that extract wrote to" in done.err


def test_small_files_are_merged(stellarrow: Run, make_lake: Lake, place: str, tmp_path: Path) -> None:
    lake = make_lake()
    extract(stellarrow, lake, place, "100:109")
    whole = contents(tmp_path / "out").keys()
    small = place.replace("out?", "small?")
    for first in (100, 103, 107):
        extract(stellarrow, lake, small, f"{first}:+2")
    assert "merged" not in stellarrow("compact", small, "--ledgers-per-file", "1").out
    extract(stellarrow, lake, small, "100:108")
    assert "8 ranges merged" in stellarrow("compact", small, "--ledgers-per-file", "10").out
    assert checked(stellarrow, small) == (0, [])
    extract(stellarrow, lake, small, "100:109")
    assert stellarrow("compact", small, "--ledgers-per-file", "10").code == 0
    assert contents(tmp_path / "small").keys() == whole


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        ("parquet:./x?partitions=date", "unknown option 'partitions': did you mean partition?"),
        ("parquet:./x?partition=day", "partition 'day' is unknown"),
        ("csv:./x?codec=snappy", "CSV files have no codec 'snappy': choose none, gzip"),
        ("jsonl:", "names no folder"),
        ("./csv", "'./csv' is no sink: name a format, such as parquet:./csv"),
        ("json:./x", "did you mean jsonl:FOLDER?"),
        ("parquet:./x?ledgers=no", "ledgers is how many a file holds"),
    ],
)
def test_a_place_that_cannot_be_meant_is_explained(
    stellarrow: Run, make_lake: Lake, sink: str, told: str
) -> None:
    done = extract(stellarrow, make_lake(), sink)
    assert done.code == 2
    assert told in done.err


def test_sql_sees_the_tables_of_every_format(
    stellarrow: Run, make_lake: Lake, place: str, tmp_path: Path
) -> None:
    extract(stellarrow, make_lake(), place)
    extract(stellarrow, make_lake(name="again"), f"parquet:{tmp_path / 'other'}")
    query = "select * from contract_data order by ledger_sequence, transaction_index, change_index"
    done = stellarrow("sql", query, "--data", tmp_path / "out", "--json")
    assert done.code == 0
    assert done.out == stellarrow("sql", query, "--data", tmp_path / "other", "--json").out
    assert done.out


def test_two_sinks_of_files_in_one_place_are_refused_before_anything_is_read(
    stellarrow: Run, make_lake: Lake, tmp_path: Path
) -> None:
    to = (f"jsonl:{tmp_path}/out", f"csv:{tmp_path}/x/../out/?codec=gzip")
    done = stellarrow("extract", make_lake(), "--tables", "ledgers", "--to", to[0], "--to", to[1])
    assert done.code == 2
    assert f"{to[0]} and {to[1]} are one place: give each a folder of its own" in done.err
    assert not (tmp_path / "out").exists()
