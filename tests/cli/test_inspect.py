from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.rpc import RpcNode
from fakes.versitygw import Bucket
from stellarrow.core.framing import frame

Run = Callable[..., Any]


def facts(out: str) -> dict[str, str]:
    rows = [line.split("  ", 1) for line in out.splitlines()[1:] if not line.startswith(" ")]
    return {name: answer.strip() for name, answer in rows}


def test_a_real_ledger_is_told(stellarrow: Run) -> None:
    path = files("stellarrow") / "data" / "ledgers" / "FCD285FF--53312000.xdr.zstd"
    done = stellarrow("inspect", path)
    answer = facts(done.out)
    assert (done.code, done.err) == (0, "")
    assert answer["ledgers"] == "53312000"
    assert answer["protocol"].startswith("21, meta V")
    assert answer["network"] == "pubnet"
    assert answer["transactions"].startswith("163, ")
    assert answer["stored"].startswith("72.7 KB, batch")


def test_the_network_is_found_by_its_proof(
    stellarrow: Run, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    path = tmp_path / "some.xdr.zst"
    path.write_bytes(frame(ledgers, "record-marked", compression_level=1))
    answer = facts(stellarrow("inspect", path).out)
    assert answer["network"] == "synthetic"
    assert answer["ledgers"] == "40, from 100 to 139"
    assert answer["events"]


def test_of_a_network_nobody_knows_the_headers_are_told(stellarrow: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.xdr"
    path.write_bytes(sa.synth(3, first=7, network="A Network of One's Own"))
    done = stellarrow("inspect", path)
    answer = facts(done.out)
    assert (done.code, answer["ledgers"]) == (0, "3, from 7 to 9")
    assert answer["closed"].startswith("2023-11-14T22:13:20Z to ")
    assert "give --network" in answer["network"]
    named = facts(stellarrow("inspect", path, "--network", "A Network of One's Own").out)
    assert (named["ledgers"], named["network"]) == ("3, from 7 to 9", "A Network of One's Own")


def test_the_quickstart_network_is_found_by_its_proof(stellarrow: Run, shared: Path) -> None:
    path = shared / "data" / "ledgers" / "load-v23.xdr.zstd"
    assert facts(stellarrow("inspect", path).out)["network"] == "standalone"


def test_whatever_a_source_takes_is_inspected(
    stellarrow: Run, make_lake: Callable[..., Path], rpc: RpcNode, bucket: Bucket
) -> None:
    lake = make_lake()
    shutil.copytree(lake, bucket.folder / "lake")
    places = (lake, f"file://{lake}", f"{lake}/*/*.zst", f"rpc+{rpc.url}", f"s3://{bucket.name}/lake")
    for place in places:
        done = stellarrow("inspect", place)
        answer = facts(done.out)
        assert (done.code, answer["network"]) == (0, "synthetic"), place
        assert answer["ledgers"] == "40, from 100 to 139", place
        assert answer["events"], place


def test_of_much_the_newest_are_looked_at_or_those_named(
    stellarrow: Run, rpc: RpcNode, make_lake: Callable[..., Path]
) -> None:
    answer = facts(stellarrow("inspect", f"rpc+{rpc.url}").out)
    assert answer["looked at"] == "20, from 120 to 139"
    lake = make_lake()
    named = facts(stellarrow("inspect", lake, "--ledgers", "110:112").out)
    assert (named["ledgers"], named["looked at"]) == ("40, from 100 to 139", "3, from 110 to 112")


def test_ledgers_out_of_order_and_holes_are_told(
    stellarrow: Run, tmp_path: Path, ledgers: tuple[bytes, ...], make_lake: Callable[..., Path]
) -> None:
    path = tmp_path / "some.xdr"
    path.write_bytes(frame([ledgers[5], ledgers[2], ledgers[9]], "record-marked"))
    assert facts(stellarrow("inspect", path).out)["ledgers"] == "3, between 102 and 109, not in order"
    lake = make_lake()
    next(lake.rglob("*--110.xdr.zst")).unlink()
    assert facts(stellarrow("inspect", lake).out)["ledgers"].startswith("39, from 100 to 139, 1 between")


@pytest.mark.parametrize(
    ("place", "code", "word"),
    [
        ("parquet:./out", 2, "stellarrow coverage parquet:./out"),
        ("postgres://me:hunter2@h/db", 2, "stellarrow coverage postgres://me:********@h/db"),
        ("nowhere", 1, "does not exist"),
        ("s4://bucket/lake", 2, "s4:// is no source of ledgers"),
        ("grpc://127.0.0.1:1", 2, "--ledgers"),
    ],
)
def test_what_cannot_be_inspected_says_what_looks_at_it(
    stellarrow: Run, place: str, code: int, word: str
) -> None:
    done = stellarrow("inspect", place)
    assert (done.code, done.out, word in done.err) == (code, "", True), done.err


@pytest.mark.parametrize(("content", "word"), [(b"", "is empty"), (b"\x00" * 99, "none of batch")])
def test_what_is_no_ledger_is_one_line(stellarrow: Run, tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    done = stellarrow("inspect", path)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert word in done.err


def test_ledgers_behind_the_last_are_told(stellarrow: Run, make_lake: Callable[..., Path]) -> None:
    done = stellarrow("inspect", make_lake(), "--ledgers", "5000:")
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: the source has no ledger of '5000:': it has 100 to 139\n"
