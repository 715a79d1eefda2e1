from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.versitygw import Bucket
from stellarrow import ConfigError, LedgerRange, Network, SourceError
from stellarrow.core.synthetic import synthetic
from stellarrow.lake.layout import Layout, manifest
from stellarrow.lake.verify import Fault, LakeCheck
from stellarrow.lake.writer import packed
from stellarrow.net.resilience import Guard
from stellarrow.storage.opening import open_store

LAYOUT = Layout(4, 4)


def check(location: str | Path, wanted: LedgerRange | None = None, *, names: bool = False) -> list[Fault]:
    store = open_store(str(location))
    checker = LakeCheck(store, Guard(store.where))
    files = checker.names(wanted)
    found = files if names else checker.ledgers(files)
    return [*checker.manifest, *(fault for file in found for fault in file.faults)]


def told(location: str | Path, *, names: bool = False) -> list[tuple[str, str]]:
    return [(fault.kind, fault.place.rpartition("/")[2]) for fault in check(location, names=names)]


@pytest.fixture
def lake(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Path:
    """Ledgers 100 to 139, four a file."""
    folder = tmp_path / "lake"
    for first in range(100, 140, 4):
        path = folder / LAYOUT.key(first)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(ledgers[first - 100 : first - 96]))
    (folder / ".config.json").write_bytes(manifest(LAYOUT, Network.of("synthetic")))
    return folder


def file(lake: Path, first: int) -> Path:
    return lake / LAYOUT.key(first)


def test_a_sound_lake_has_no_fault(lake: Path) -> None:
    assert check(lake) == []


def test_a_sound_lake_in_a_bucket_has_no_fault(lake: Path, bucket: Bucket) -> None:
    shutil.copytree(lake, bucket.folder / "lake")
    assert check(f"s3://{bucket.name}/lake") == []
    (bucket.folder / "lake" / LAYOUT.key(112)).unlink()
    assert told(f"s3://{bucket.name}/lake") == [("missing", "112:115")]


@pytest.mark.parametrize("names", [True, False])
def test_a_gap_is_found(lake: Path, names: bool) -> None:
    file(lake, 112).unlink()
    file(lake, 116).unlink()
    assert told(lake, names=names) == [("missing", "112:119")]


def test_a_file_without_bytes_is_found(lake: Path) -> None:
    file(lake, 112).write_bytes(b"")
    assert told(lake) == [("empty", "FFFFFF8F--112-115.xdr.zst")]


def test_a_damaged_file_is_found(lake: Path) -> None:
    file(lake, 112).write_bytes(file(lake, 112).read_bytes()[:-9])
    assert told(lake) == [("damaged", "FFFFFF8F--112-115.xdr.zst")]
    assert told(lake, names=True) == []


def test_a_file_with_other_ledgers_than_its_name_says_is_found(
    lake: Path, ledgers: tuple[bytes, ...]
) -> None:
    file(lake, 112).write_bytes(packed(ledgers[12:15]))
    file(lake, 120).write_bytes(file(lake, 124).read_bytes())
    assert told(lake) == [("content", "FFFFFF87--120-123.xdr.zst"), ("content", "FFFFFF8F--112-115.xdr.zst")]


def test_a_chain_that_breaks_between_files_and_within_one_is_found(
    lake: Path, ledgers: tuple[bytes, ...]
) -> None:
    endless = synthetic(20, seed=9, first=120, ledger_bytes=4_096)
    other = [next(endless) for _ in range(16)]
    file(lake, 120).write_bytes(packed(other[:4]))
    file(lake, 132).write_bytes(packed([*ledgers[32:34], *other[14:16]]))
    assert told(lake) == [
        ("chain", "FFFFFF7B--132-135.xdr.zst"),
        ("chain", "FFFFFF87--120-123.xdr.zst"),
        ("chain", "FFFFFF8B--116-119.xdr.zst"),
    ]


def test_ledgers_of_another_network_are_found(lake: Path) -> None:
    endless = synthetic(20, first=120, ledger_bytes=4_096, network="testnet")
    file(lake, 120).write_bytes(packed([next(endless) for _ in range(4)]))
    assert ("network", "FFFFFF87--120-123.xdr.zst") in told(lake)


def test_strangers_misplaced_and_double_files_are_found(lake: Path) -> None:
    (lake / "notes.txt").write_text("hello")
    file(lake, 112).rename(lake / file(lake, 112).name)
    shutil.copy(file(lake, 120), lake / f"{LAYOUT.key(120)}d")
    assert sorted(told(lake, names=True)) == [
        ("double", "FFFFFF87--120-123.xdr.zstd"),
        ("misplaced", "FFFFFF8F--112-115.xdr.zst"),
        ("missing", "112:115"),
        ("stranger", "notes.txt"),
    ]


def test_a_manifest_that_is_missing_broken_or_lies_is_found(lake: Path) -> None:
    (lake / ".config.json").write_bytes(manifest(Layout(1, 16), Network.of("synthetic")))
    assert told(lake, names=True) == [("manifest", ".config.json")]
    (lake / ".config.json").write_text("{")
    assert told(lake, names=True) == [("manifest", ".config.json")]
    (lake / ".config.json").unlink()
    assert told(lake, names=True) == [("manifest", ".config.json")]
    with pytest.raises(ConfigError, match="does not tell its network: give --network"):
        check(lake)


def test_a_range_is_checked_alone(lake: Path) -> None:
    file(lake, 104).write_bytes(b"")
    file(lake, 136).write_bytes(b"")
    assert check(lake, LedgerRange(108, 135)) == []
    assert [fault.kind for fault in check(lake, LedgerRange(100, 135))] == ["empty"]


def test_a_place_that_is_no_lake_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no lake"):
        check(tmp_path)


def test_the_first_file_of_a_chain_begins_later_than_its_name(tmp_path: Path) -> None:
    endless = synthetic(20, first=2, ledger_bytes=4_096)
    path = tmp_path / Layout(64, 1).key(0)
    path.write_bytes(packed([next(endless) for _ in range(62)]))
    (tmp_path / ".config.json").write_bytes(manifest(Layout(64, 1), Network.of("synthetic")))
    assert check(tmp_path) == []


def test_the_lake_others_make_is_sound(make_lake: Callable[..., Path]) -> None:
    assert check(make_lake()) == []
