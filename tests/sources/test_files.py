from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stellarrow import (
    DecodeError,
    LedgerMissing,
    LedgerRange,
    LedgerSet,
    Network,
    Source,
    SourceError,
    SourceUnavailable,
)
from stellarrow.core.framing import frame, sequences
from stellarrow.core.synthetic import synthetic
from stellarrow.sources.files import FileSource


def held(source: Source, first: int, last: int | None) -> list[int]:
    """The ledgers a range yields, as far as each chunk promises them."""
    return [
        number
        for chunk in source.read(LedgerRange(first, last))
        for number in sequences(chunk.data, chunk.framing)
        if chunk.first <= number <= chunk.last
    ]


def test_a_file_source_is_a_source(tmp_path: Path) -> None:
    assert isinstance(FileSource(tmp_path), Source)


def test_a_lake_is_read_in_ledger_order(make_lake: Callable[..., Path]) -> None:
    source = FileSource(make_lake())
    assert str(source.available()) == "100:139"
    assert held(source, 105, 110) == list(range(105, 111))
    assert held(source, 137, None) == [137, 138, 139]


def test_a_lake_is_indexed_by_its_names_alone(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    for path in lake.rglob("*.zst"):
        path.write_bytes(b"not looked at")
    assert str(FileSource(lake).available()) == "100:139"


@pytest.mark.parametrize("kind", ["batch", "record-marked", "base64-lines"])
@pytest.mark.parametrize("level", [None, 3])
def test_a_file_of_any_framing_is_read(
    tmp_path: Path, ledgers: tuple[bytes, ...], kind: str, level: int | None
) -> None:
    path = tmp_path / "ledgers"
    path.write_bytes(frame(ledgers, kind, compression_level=level))
    source = FileSource(path)
    assert str(source.available()) == "100:139"
    assert held(source, 138, 139) == [138, 139]


def test_a_file_of_one_bare_ledger_is_read(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    path = tmp_path / "one.xdr"
    path.write_bytes(frame(ledgers[:1], "single"))
    assert held(FileSource(path), 100, 100) == [100]


@pytest.mark.parametrize("level", [None, 1])
def test_a_big_file_comes_in_pieces(tmp_path: Path, level: int | None) -> None:
    endless = synthetic(20, first=7, ledger_bytes=2_000_000)
    path = tmp_path / "big"
    with path.open("wb") as file:
        for _ in range(20):
            file.write(frame([next(endless)], "record-marked", compression_level=level))
    source = FileSource(path)
    assert str(source.available()) == "7:26"
    chunks = list(source.read(LedgerRange(8, 25)))
    assert len(chunks) > 2
    assert max(len(chunk.data) for chunk in chunks) < 13_000_000
    assert held(source, 8, 25) == list(range(8, 26))


def test_a_glob_takes_what_it_matches(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    assert str(FileSource(f"{lake}/*/*--12[0-3].xdr.zst").available()) == "120:123"


def test_ledgers_in_several_files_are_read_once(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    (tmp_path / "a").write_bytes(frame(ledgers[:20], "record-marked"))
    (tmp_path / "b").write_bytes(frame(ledgers[10:30], "record-marked"))
    (tmp_path / "c").write_bytes(frame(ledgers[10:30], "record-marked"))
    (tmp_path / "d").write_bytes(frame(ledgers[5:8], "record-marked"))
    assert held(FileSource(tmp_path), 100, 129) == list(range(100, 130))
    assert held(FileSource(tmp_path), 106, 107) == [106, 107]


def test_a_file_with_gaps_holds_several_ranges(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    path = tmp_path / "gappy.txt"
    path.write_bytes(frame([ledgers[0], ledgers[1], ledgers[5], ledgers[9]], "base64-lines"))
    source = FileSource(path)
    assert str(source.available()) == "100:101, 105, 109"
    assert held(source, 105, 105) == [105]


def test_ledgers_out_of_order_are_refused(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    path = tmp_path / "twice.xdr"
    path.write_bytes(frame([ledgers[1], ledgers[0]], "record-marked"))
    with pytest.raises(SourceError, match=r"twice.xdr holds ledger 100 after ledger 101"):
        FileSource(path).available()


def test_a_missing_ledger_is_named_before_anything_is_read(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    next(lake.rglob("*--120.xdr.zst")).unlink()
    reading = FileSource(lake).read(LedgerRange(100, 139))
    with pytest.raises(LedgerMissing, match=rf"ledger 120 is missing in {lake}, which has 100:119, 121:139"):
        next(reading)


def test_following_from_beyond_the_tip_is_a_missing_ledger(make_lake: Callable[..., Path]) -> None:
    with pytest.raises(LedgerMissing, match="ledger 140"):
        held(FileSource(make_lake()), 140, None)


def test_a_place_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="does not exist"):
        FileSource(tmp_path / "nowhere").available()


def test_an_empty_folder_and_a_glob_of_nothing_are_source_errors(tmp_path: Path) -> None:
    for location in (str(tmp_path), f"{tmp_path}/*.zst"):
        with pytest.raises(SourceError, match="holds no ledger file"):
            FileSource(location).available()


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.xdr").touch()
    with pytest.raises(SourceError, match=r"empty.xdr is empty"):
        FileSource(tmp_path).available()


def test_a_file_that_vanishes_is_named(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    source = FileSource(lake)
    assert source.available()
    next(lake.rglob("*--120.xdr.zst")).unlink()
    with pytest.raises(SourceError, match=r"--120.xdr.zst vanished"):
        held(source, 100, 139)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.xdr"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(SourceError, match=r"mine.xdr cannot be read \(Permission denied\)"):
        FileSource(path).available()


def test_bytes_that_are_no_ledger_are_a_decode_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "notes.bin").write_bytes(b"\x00" * 64)
    with pytest.raises(DecodeError, match=r"notes.bin: "):
        FileSource(tmp_path).available()


def test_notes_manifests_and_files_being_written_are_passed_over(make_lake: Callable[..., Path]) -> None:
    lake = make_lake(100, 101)
    for name in ("README.md", ".hidden", "a.tmp", "a.json"):
        (lake / name).write_text("no ledger")
    assert FileSource(lake).available().count == 2


def test_the_manifest_tells_the_network(make_lake: Callable[..., Path], tmp_path: Path) -> None:
    lake = make_lake()
    assert FileSource(lake).network() == Network.of("synthetic")
    assert FileSource(next(lake.rglob("*--120.xdr.zst"))).network() == Network.of("synthetic")
    assert FileSource(f"{lake}/*/*12?.xdr.zst").network() == Network.of("synthetic")
    (tmp_path / "bare.xdr").write_bytes(b"x")
    assert FileSource(tmp_path / "bare.xdr").network() is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"networkPassphrase": " "}'])
def test_a_manifest_that_names_no_network_is_named(make_lake: Callable[..., Path], content: str) -> None:
    lake = make_lake()
    (lake / ".config.json").write_text(content)
    with pytest.raises(SourceError, match=r"config.json names no networkPassphrase"):
        FileSource(lake).network()


def test_stored_bytes_are_those_of_the_files_that_hold_the_ledgers(make_lake: Callable[..., Path]) -> None:
    lake = make_lake()
    sizes = [next(lake.rglob(f"*--{number}.xdr.zst")).stat().st_size for number in (105, 106)]
    assert FileSource(lake).stored_bytes(LedgerSet.parse("105:106")) == sum(sizes)


def test_a_lake_name_whose_inverted_number_lies_is_looked_into(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    (tmp_path / "FFFFFFFF--7.xdr.zst").write_bytes(frame(ledgers[:1], "batch", compression_level=1))
    assert str(FileSource(tmp_path).available()) == "100"
