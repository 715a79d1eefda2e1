from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.cli.commands.synth import lake_path
from stellarrow.core.framing import framing, sequences
from stellarrow.sources.files import FileSource

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("sequence", "path"),
    [
        (53312000, "FCD285FF--53312000-53375999/FCD285FF--53312000.xdr.zst"),
        (58752007, "FC7F83FF--58752000-58815999/FC7F83F8--58752007.xdr.zst"),
        (2, "FFFFFFFF--0-63999/FFFFFFFD--2.xdr.zst"),
        (4294967295, "0000D7FF--4294912000-4294967295/00000000--4294967295.xdr.zst"),
    ],
)
def test_ledgers_lie_where_a_lake_puts_them(sequence: int, path: str) -> None:
    assert lake_path(sequence) == path


def test_a_folder_becomes_a_lake(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow(
        "synth", "--ledgers", 12, "--size", "4KB", "--first", 63_995, "--out", tmp_path / "lake"
    )
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("12 ledgers from 63995 in ")
    source = FileSource(tmp_path / "lake")
    assert str(source.available()) == "63995:64006"
    assert source.network() == sa.Network.of("synthetic")
    assert json.loads((tmp_path / "lake" / ".config.json").read_text())["batchesPerPartition"] == 64_000
    report = sa.run(source, tables=["ledgers"], sinks=[], network="synthetic")
    assert report.ledgers == 12


@pytest.mark.parametrize("name", ["ledgers.xdr", "ledgers.xdr.zst"])
def test_a_file_becomes_a_record_marked_stream(stellarrow: Run, tmp_path: Path, name: str) -> None:
    stellarrow("synth", "--ledgers", 3, "--size", "4KB", "--out", tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert framing(data) == "record-marked"
    assert sequences(data) == [2, 3, 4]
    assert (data[:4] == b"\x28\xb5\x2f\xfd") == name.endswith(".zst")


def test_the_same_seed_makes_the_same_file(stellarrow: Run, tmp_path: Path) -> None:
    for name, seed in (("a.xdr", 5), ("b.xdr", 5), ("c.xdr", 6)):
        stellarrow("synth", "--ledgers", 2, "--size", "4KB", "--seed", seed, "--out", tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.xdr", "b.xdr", "c.xdr"))
    assert a == b != c


def test_ledgers_beyond_the_last_possible_are_refused(stellarrow: Run, tmp_path: Path) -> None:
    done = stellarrow("synth", "--ledgers", 3, "--first", 4294967294, "--out", tmp_path / "a.xdr")
    assert (done.code, "beyond the last possible" in done.err) == (2, True)


def test_a_place_one_cannot_write_to_is_a_failure(stellarrow: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = stellarrow("synth", "--ledgers", 1, "--size", "4KB", "--out", tmp_path / "file" / "lake" / "x.xdr")
    assert (done.code, "cannot write to" in done.err) == (1, True)
