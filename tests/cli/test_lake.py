from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.versitygw import Bucket
from stellarrow.lake.layout import Layout

Run = Callable[..., Any]


@pytest.mark.parametrize("verb", ["write", "check"])
def test_help_fits_a_screen_and_ends_with_an_example(stellarrow: Run, verb: str) -> None:
    lines = stellarrow("lake", verb, "--help").out.rstrip().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    assert any(line.strip().startswith("Example") for line in lines[-6:])


def test_a_lake_goes_from_a_folder_to_a_bucket_and_is_sound(
    stellarrow: Run, make_lake: Callable[..., Path], bucket: Bucket
) -> None:
    place = f"s3://{bucket.name}/lake"
    line = ("lake", "write", make_lake(), "--to", place, "--ledgers-per-file", 4)
    assert stellarrow(*line, "--ledgers", "100:119").out.startswith("20 ledgers in 5 files, ")
    done = stellarrow(*line)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("20 ledgers in 5 files, ")
    assert done.out.endswith(f" in {place}; 20 were there\n")
    done = stellarrow("lake", "check", place)
    assert done.code == 0
    assert done.out.startswith(f"{place}: 40 ledgers in 10 files, ")
    assert done.out.endswith(": all is well\n")


def test_a_faulty_lake_is_told_and_exits_with_1(stellarrow: Run, make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    (lake / Layout().key(120)).unlink()
    (lake / Layout().key(130)).write_bytes(b"")
    done = stellarrow("lake", "check", lake)
    assert done.code == 1
    assert done.out.splitlines()[0].endswith(": empty 1, missing 1")
    assert "missing    120: 1 of the ledgers are not there: write them again" in done.out
    done = stellarrow("lake", "check", lake, "--names", "--ledgers", "125:", "--json")
    assert done.code == 1
    answer = json.loads(done.out)
    assert (answer["ledgers"], [fault["kind"] for fault in answer["faults"]]) == (15, ["empty"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("90:104", "ledgers 90:99: the lake does not have them"),
        ("130:200", "ledgers 140:200: the lake does not have them"),
        ("5000:", "ledgers from 5000 on: the lake has none of them"),
    ],
)
def test_ledgers_that_a_lake_should_have_and_has_not_are_a_fault(
    stellarrow: Run, make_lake: Callable[..., Path], asked: str, told: str
) -> None:
    lake = make_lake()
    done = stellarrow("lake", "check", lake, "--ledgers", asked)
    assert (done.code, told in done.out) == (1, True), done.out
    assert stellarrow("lake", "check", lake, "--ledgers", "105:").code == 0


def test_what_makes_no_whole_file_is_said(
    stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    done = stellarrow(
        *("lake", "write", make_lake(), "--to", tmp_path / "out", "--ledgers-per-file", 16, "--json")
    )
    answer = json.loads(done.out)
    assert (answer["ledgers"], answer["files"], answer["left_out"]) == (16, 1, "100:111, 128:139")
    assert (
        "left out, for they make no whole file: 100 to 111, 128 to 139"
        in stellarrow(*("lake", "write", make_lake(), "--to", tmp_path / "out")).out
    )


def test_a_store_that_is_not_there_is_one_line(stellarrow: Run, bucket: Bucket) -> None:
    done = stellarrow("lake", "check", f"s3://{bucket.name}-nowhere/lake")
    assert (done.code, done.out) == (1, "")
    assert "there is no such bucket" in done.err
    assert done.err.count("\n") == 1


def test_extract_reads_a_bucket_and_foretells_it(
    stellarrow: Run,
    make_lake: Callable[..., Path],
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(make_lake(), bucket.folder / "lake")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    line = ["extract", f"s3://{bucket.name}/lake", "--endpoint", bucket.server.endpoint]
    line += ["--tables", "ledgers", "--to", f"parquet:{tmp_path}/out", "--ledgers", "110:latest", "--json"]
    answer = json.loads(stellarrow(*line, "--dry-run").out)
    stored = sum(path.stat().st_size for path in make_lake(110, 139, name="some").rglob("*.zst"))
    assert (answer["ledgers"], answer["stored_bytes"]) == (30, stored)
    answer = json.loads(stellarrow(*line, "--fetchers", 3).out)
    assert (answer["ledgers"], answer["ranges"]) == (30, "110:139")
    assert json.loads(stellarrow(*line).out)["skipped"] == 30
