"""A lake in a folder is followed by its plain path, as by file://."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.dataset as ds
import pytest

import stellarrow as sa
from sources.following import followed
from stellarrow.core.framing import frame
from stellarrow.lake.layout import Layout, manifest
from stellarrow.registry import open_source

Make = Callable[..., Path]


def put(lake: Path, ledger: bytes, number: int) -> None:
    path = lake / Layout().key(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_bytes(frame([ledger], "batch", compression_level=3))
    aside.replace(path)


@pytest.mark.parametrize("with_manifest", [True, False])
def test_an_open_range_goes_on_with_what_is_written_later(
    make_lake: Make, ledgers: tuple[bytes, ...], with_manifest: bool
) -> None:
    lake = make_lake(100, 119)
    if not with_manifest:
        (lake / ".config.json").unlink()
    numbers = iter(range(120, 140))
    seen = followed(
        open_source(str(lake)), lambda ledger: put(lake, ledger, next(numbers)), ledgers[20:30], to=129
    )
    assert seen == list(range(102, 130))


def test_a_lake_that_is_still_empty_is_waited_for(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / ".config.json").write_bytes(manifest(Layout(), sa.Network.of("synthetic")))
    numbers = iter(range(102, 140))
    seen = followed(
        open_source(str(lake)), lambda ledger: put(lake, ledger, next(numbers)), ledgers[2:5], to=104
    )
    assert seen == [102, 103, 104]


def test_what_came_after_the_folder_was_looked_at_is_read(
    make_lake: Make, ledgers: tuple[bytes, ...]
) -> None:
    lake = make_lake(100, 110)
    source = open_source(str(lake))
    assert str(source.available()) == "100:110"
    put(lake, ledgers[11], 111)
    assert [chunk.last for chunk in source.read(sa.LedgerRange(109, 111))] == [109, 110, 111]
    with pytest.raises(sa.LedgerMissing, match=r"ledger 112 is not in .*, whose newest is 111"):
        list(source.read(sa.LedgerRange(109, 112)))


def test_a_hole_in_a_followed_folder_is_told(make_lake: Make) -> None:
    lake = make_lake(100, 119)
    next(lake.rglob("*--110.xdr.zst")).unlink()
    with pytest.raises(sa.LedgerMissing, match="ledger 110 is missing"):
        list(open_source(str(lake)).read(sa.LedgerRange(105)))


def test_files_that_are_no_lake_end_with_what_is_there(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    (tmp_path / "some.xdr").write_bytes(frame(ledgers[:5], "record-marked"))
    for place in (tmp_path, tmp_path / "some.xdr", tmp_path / "*.xdr"):
        assert [chunk.last for chunk in open_source(str(place)).read(sa.LedgerRange(102))] == [104]


def test_a_source_that_was_closed_follows_nothing(make_lake: Make) -> None:
    source = open_source(str(make_lake(100, 103)))
    source.close()
    ended = threading.Thread(target=lambda: list(source.read(sa.LedgerRange(104))), daemon=True)
    ended.start()
    ended.join(2)
    assert not ended.is_alive()


def test_extract_follows_a_plain_path_until_it_is_told_to_stop(
    make_lake: Make, tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    lake = make_lake(100, 109)
    argv = [sys.executable, "-m", "stellarrow.cli", "extract", str(lake), "--ledgers", "105:"]
    argv += ["--tables", "ledgers", "--to", f"parquet:{tmp_path}/out"]
    process = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        for number in (110, 111, 112):
            put(lake, ledgers[number - 100], number)
        deadline = time.monotonic() + 30
        while extracted(tmp_path / "out") != list(range(105, 113)):
            assert process.poll() is None
            assert time.monotonic() < deadline, extracted(tmp_path / "out")
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) != 0
    finally:
        process.kill()
        process.wait()


def extracted(out: Path) -> list[int]:
    files = [str(path) for path in out.rglob("*.parquet")]
    rows = ds.dataset(files).to_table(columns=["ledger_sequence"]) if files else None
    return sorted(rows["ledger_sequence"].to_pylist()) if rows else []
