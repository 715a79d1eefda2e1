"""Indexes beside files leave no row group out, and count for nothing where they are wrong."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.lifecycle.archive import remove_range
from stellarrow.sinks.files import runs
from stellarrow.sinks.files.compaction import compact, remade
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.group_index import SECTIONS, decode, index_path, sections_of
from stellarrow.sinks.files.indexing import read_index, reindex
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.proof import held_files
from stellarrow.sinks.files.reading import listings, rows_of
from stellarrow.sinks.files.verify import Fault, Foreign, check, repair
from stellarrow.storage import local_files
from stellarrow.storage.local_files import LocalFiles

TABLE = "token_transfers"
HALF = LedgerRange(100, 119)
MAGIC = b"stellarrow index 1\n"
Keep = Callable[..., Listing]


@pytest.fixture
def keep(make_lake: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Keep forty ledgers in files of twenty, of many row groups and runs."""
    monkeypatch.setattr(Parquet, "block", 7)
    monkeypatch.setattr(runs, "SORTED", runs.Length(rows=40, text=1 << 20))

    def made(
        *, partition: str = "ledgers", ledgers: int = 20, table: str = TABLE, wanted: str = "100:139"
    ) -> Listing:
        place = f"parquet:{tmp_path / 'out'}?ledgers={ledgers}&partition={partition}"
        sa.run(make_lake(100, 139), tables=[table], sinks=[place], ledgers=wanted, network="synthetic")
        (found,) = listings(LocalFiles(tmp_path / "out"))
        return found

    return made


def index_of(listing: Listing, ledgers: LedgerRange = HALF) -> Path:
    return Path(str(listing.store)) / index_path(listing.shape.folder, ledgers)


def harmed(listing: Listing) -> list[Fault | Foreign]:
    return [one for one in check(listing) if isinstance(one, Fault | Foreign)]


@pytest.mark.parametrize(
    ("table", "partition"), [(TABLE, "ledgers"), (TABLE, "event_type"), ("contract_data", "contract_id")]
)
def test_every_text_is_found_in_every_row_group_that_has_it(keep: Keep, partition: str, table: str) -> None:
    listing, groups, ruled_out = keep(partition=partition, table=table), 0, 0
    for ledgers in listing.parts():
        found = read_index(listing, ledgers)
        for kept in held_files(listing, ledgers):
            file = pq.ParquetFile(Path(str(listing)) / kept.path)
            for group in range(file.num_row_groups):
                groups += 1
                for section, columns in sections_of(listing.shape.schema).items():
                    rows = file.read_row_group(group, columns)
                    for text in {one for name in columns for one in rows[name].to_pylist()} - {None}:
                        assert group in found[kept.sha256].groups((((((section, text),),)),))
            ruled_out += found[kept.sha256].groups((((("accounts", "never"),),),)) == []
    assert groups > 10
    assert ruled_out


def test_terms_must_all_hold_and_an_alternative_wholly(keep: Keep) -> None:
    listing = keep()
    (kept,) = held_files(listing, HALF)
    index = read_index(listing, HALF)[kept.sha256]
    file = pq.ParquetFile(Path(str(listing)) / kept.path)
    row = file.read_row_group(0, ["from", "to", "contract_id"]).to_pylist()[0]
    known = (("accounts", row["to"] or row["from"]),)
    assert 0 in index.groups(((known,),))
    assert 0 in index.groups((((("accounts", "never"),), known),))
    assert index.groups((((*known, ("accounts", "never")),),)) == []
    assert index.groups(((known,), ((("contract_id", "never"),),))) == []
    assert index.groups(((((("unknown", "never"),)),),)) == [*range(file.num_row_groups)]
    assert len(index.groups(())) == file.num_row_groups


def test_a_small_range_has_none(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parquet, "block", 16_384)
    listing = keep()
    assert not index_of(listing).parent.exists()
    assert reindex(listing) == 0
    assert harmed(listing) == []


def test_what_is_missing_is_made_anew_in_the_same_bytes(keep: Keep) -> None:
    listing = keep()
    before = {path: path.read_bytes() for path in index_of(listing).parent.iterdir()}
    assert len(before) == 2
    assert reindex(listing) == 0
    for path in before:
        path.unlink()
    assert harmed(listing) == []
    assert reindex(listing) == 2
    assert {path: path.read_bytes() for path in before} == before


def sealed(head: object, rest: bytes = b"") -> bytes:
    told = head if isinstance(head, bytes) else json.dumps(head).encode()
    data = MAGIC + len(told).to_bytes(4, "little") + told + rest
    return data + hashlib.sha256(data).digest()


def of(rows: object = (7,), sizes: object = (32,), **more: Any) -> dict[str, Any]:
    one = {"sha256": "0" * 64, "rows": rows, "bytes": {"accounts": sizes}}
    return {"sections": {"accounts": ["from", "to"]}, "files": [one], **more}


WRONG = {
    "empty": b"",
    "short": MAGIC,
    "text": b"GENESIS" * 100,
    "cut JSON": sealed(b"{"),
    "deep JSON": sealed(b"[" * 100_000),
    "no object": sealed([1]),
    "no sections": sealed(of(sections=None)),
    "no files": sealed({"sections": {}}),
    "files that are none": sealed(of(files=[3])),
    "a negative size": sealed(of(sizes=[-1]), bytes(64)),
    "a size that is no number": sealed(of(sizes=["32"]), bytes(64)),
    "a true size": sealed(of(sizes=[True]), bytes(1)),
    "more than it has": sealed(of(sizes=[1 << 60]), bytes(64)),
    "more than it says": sealed(of(), bytes(64)),
    "fewer filters than groups": sealed(of(rows=[7, 7]), bytes(32)),
    "rows that are none": sealed(of(rows=[None]), bytes(32)),
    "a head beyond its end": MAGIC
    + b"\xff\xff\xff\xff"
    + hashlib.sha256(MAGIC + b"\xff\xff\xff\xff").digest(),
}


def test_what_is_no_index_is_not_used_and_check_tells_of_it_and_compact_mends_it(keep: Keep) -> None:
    listing = keep()
    whole = index_of(listing).read_bytes()
    for name, data in WRONG.items():
        with pytest.raises(ValueError, match=r".+"):
            decode(data, listing.shape.schema)
        index_of(listing).write_bytes(data)
        assert read_index(listing, HALF) == {}, name
        (fault,) = harmed(listing)
        assert isinstance(fault, Fault), name
        assert (fault.path, fault.ledgers) == (index_path(TABLE, HALF), None)
        assert "compact makes it anew" in fault.what
    assert reindex(listing) == 1
    assert index_of(listing).read_bytes() == whole


def test_every_flipped_or_missing_byte_is_noticed(keep: Keep) -> None:
    listing = keep()
    whole = index_of(listing).read_bytes()
    for at in range(0, len(whole), 97):
        for data in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            with pytest.raises(ValueError, match=r".+"):
                decode(data, listing.shape.schema)


def test_an_index_of_other_files_is_not_used(keep: Keep) -> None:
    listing = keep()
    other = index_of(listing, LedgerRange(120, 139)).read_bytes()
    index_of(listing).write_bytes(other)
    (kept,) = held_files(listing, HALF)
    assert kept.sha256 not in read_index(listing, HALF)
    (fault,) = harmed(listing)
    assert "is the index of other files" in fault.what


def test_an_index_of_fewer_columns_than_are_asked_rules_nothing_out(
    keep: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setitem(SECTIONS, "accounts", ("from",))
        listing = keep()
    (kept,) = held_files(listing, HALF)
    index = read_index(listing, HALF)[kept.sha256]
    assert len(index.groups((((("accounts", "never"),),),))) == len(index.rows)
    assert index.groups((((("contract_id", "never"),),),)) == []


def test_compaction_makes_one_index_and_leaves_none(keep: Keep) -> None:
    whole = keep(ledgers=20)
    expected = [(one.rows, one.filters) for one in read_index(whole, HALF).values()]
    for path in Path(str(whole)).rglob("*.*"):
        path.unlink()
    listing = keep(ledgers=10)
    assert len([*index_of(listing).parent.iterdir()]) == 4
    assert compact(listing, HALF) == 1
    assert compact(listing, LedgerRange(120, 139)) == 1
    assert sorted(path.name for path in index_of(listing).parent.iterdir()) == [
        "0000000100-0000000119.index",
        "0000000120-0000000139.index",
    ]
    assert [(one.rows, one.filters) for one in read_index(listing, HALF).values()] == expected
    assert harmed(listing) == []


def test_what_a_dead_writer_left_is_no_stranger_and_the_next_sweeps_it(keep: Keep) -> None:
    listing = keep(wanted="100:119")
    stale = index_of(listing, LedgerRange(200, 219))
    stale.write_bytes(b"half")
    assert harmed(listing) == []
    keep(wanted="120:139")
    assert not stale.exists()
    assert index_of(listing).exists()


def test_a_file_of_another_name_in_the_folder_is_a_stranger(keep: Keep) -> None:
    listing = keep()
    (index_of(listing).parent / "notes.txt").write_text("mine")
    (found,) = harmed(listing)
    assert isinstance(found, Foreign)


def test_files_in_the_place_of_others_get_an_index_of_their_own(keep: Keep) -> None:
    listing = keep()
    (before,) = held_files(listing, HALF)
    shape = replace(listing.shape, format=Parquet("zstd", level=9))
    made = remade(listing.store, shape, HALF, [rows_of(listing, HALF)])
    made.replace(HALF)
    made.discard()
    (after,) = held_files(listing, HALF)
    assert before.sha256 != after.sha256
    assert [*read_index(listing, HALF)] == [after.sha256]
    assert harmed(listing) == []


@pytest.mark.parametrize("partition", ["ledgers", "event_type"])
def test_a_range_that_is_set_aside_or_leaves_takes_its_index_along(keep: Keep, partition: str) -> None:
    listing = keep(partition=partition)
    for kept in held_files(listing, HALF)[:1]:
        (Path(str(listing)) / kept.path).write_bytes(b"harm")
    found = repair(listing, [one for one in check(listing) if isinstance(one, Fault)])
    assert LedgerSet([HALF]) & found.lost
    assert not index_of(listing).exists()
    rest = LedgerRange(120, 139)
    assert index_of(listing, rest).exists()
    remove_range(listing, rest, held_files(listing, rest))
    assert not index_of(listing, rest).exists()


def test_an_index_that_cannot_be_written_fails_no_commit(
    keep: Keep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = local_files.LocalFiles.place

    def refusing(store: LocalFiles, aside: Path, path: str, *, new: bool) -> bool:
        if "/_index/" in path:
            raise SinkError("no room")
        return place(store, aside, path, new=new)

    monkeypatch.setattr(local_files.LocalFiles, "place", refusing)
    with caplog.at_level(logging.WARNING):
        listing = keep()
    assert (
        "0000000100-0000000119.index was not written, answers by account take longer: no room" in caplog.text
    )
    assert harmed(listing) == []
    assert not index_of(listing).exists()
