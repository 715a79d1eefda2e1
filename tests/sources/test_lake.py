"""A lake in a folder and in a bucket: the same promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.faulty import Fault, FaultyProxy
from fakes.versitygw import Bucket
from stellarrow import LedgerMissing, LedgerRange, LedgerSet, Network, Source, SourceError
from stellarrow.core.decode import Decoder
from stellarrow.lake.layout import Layout, manifest
from stellarrow.lake.writer import packed
from stellarrow.net.resilience import Policy
from stellarrow.sources.lake import LakeOptions, LakeSource

QUICK = Policy(first_wait=0.005, longest_wait=0.02, reset_after=0.02, attempts=6)
LAYOUTS = [
    Layout(1, 64_000),
    Layout(1, 1),
    Layout(1, 16),
    Layout(8, 4),
    Layout(64, 1),
    Layout(5, 3, ".xdr.zstd"),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A lake under test: where it is, and the folder its objects are in."""

    location: str
    folder: Path
    ledgers: tuple[bytes, ...]

    def put(self, layout: Layout, first: int, last: int, *, with_manifest: bool = True) -> None:
        """Put the files of these ledgers there, whole or not."""
        if with_manifest:
            self.write(".config.json", manifest(layout, Network.of("synthetic")))
        for file in layout.files(LedgerRange(first, last)):
            held = range(max(file.first, first, 100), min(file.end, last) + 1)
            self.write(layout.key(file.first), packed([self.ledgers[ledger - 100] for ledger in held]))

    def write(self, key: str, data: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(".aside.tmp")
        aside.write_bytes(data)
        aside.replace(path)

    def open(self, **options: Any) -> LakeSource:
        return LakeSource(self.location, LakeOptions(**{"poll": 0.05, **options}), policy=QUICK)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, ledgers: tuple[bytes, ...]) -> Place:
    if request.param == "folder":
        return Place(f"file://{tmp_path}/lake", tmp_path / "lake", ledgers)
    bucket: Bucket = request.getfixturevalue("bucket")
    return Place(f"s3://{bucket.name}/a/lake", bucket.folder / "a" / "lake", ledgers)


def held(source: Source, first: int, last: int | None) -> list[int]:
    decode = Decoder(["ledgers"], network="synthetic")
    return [
        number
        for chunk in source.read(LedgerRange(first, last))
        for number in decode(chunk).tables["ledgers"]["ledger_sequence"].to_pylist()
    ]


def test_a_lake_is_a_source(place: Place) -> None:
    place.put(Layout(), 100, 101)
    assert isinstance(place.open(), Source)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("with_manifest", [True, False])
def test_lakes_of_any_layout_are_read(place: Place, layout: Layout, with_manifest: bool) -> None:
    place.put(layout, 100, 139, with_manifest=with_manifest)
    source = place.open()
    assert held(source, 105, 131) == list(range(105, 132))
    assert source.network() == (Network.of("synthetic") if with_manifest else None)


@pytest.mark.parametrize("layout", [Layout(1, 64_000), Layout(1, 1), Layout(1, 16), Layout(4, 4)], ids=str)
def test_it_knows_its_oldest_and_newest_ledger(place: Place, layout: Layout) -> None:
    place.put(layout, 104, 135)
    assert str(place.open().available()) == "104:135"


def test_it_knows_that_it_is_empty(place: Place) -> None:
    place.write(".config.json", manifest(Layout(), Network.of("synthetic")))
    assert place.open().available() == LedgerSet()
    with pytest.raises(LedgerMissing, match=r"ledger 100 is not in .*, which is empty"):
        held(place.open(), 100, 101)


def test_a_place_that_is_no_lake_is_named(place: Place) -> None:
    place.write("notes/readme.txt", b"hello")
    with pytest.raises(SourceError, match=r"is no lake: it has no \.config\.json"):
        place.open().available()


def test_a_manifest_that_lies_about_the_layout_is_named(place: Place) -> None:
    place.put(Layout(1, 16), 100, 110)
    place.write(".config.json", manifest(Layout(64, 16), Network.of("synthetic")))
    with pytest.raises(
        SourceError, match=r"says 64 a file, 16 files a partition, but .* for 1 a file, 16 files"
    ):
        held(place.open(), 100, 110)


def test_endings_may_change_midway(place: Place) -> None:
    place.put(Layout(1, 16, ".xdr.zstd"), 100, 119, with_manifest=False)
    place.put(Layout(1, 16), 120, 139)
    source = place.open()
    assert str(source.available()) == "100:139"
    assert held(source, 115, 125) == list(range(115, 126))


@pytest.mark.parametrize("last", [130, None])
def test_a_hole_below_the_tip_is_named_with_its_key(place: Place, last: int | None) -> None:
    place.put(Layout(1, 16), 100, 139)
    (place.folder / Layout(1, 16).key(120)).unlink()
    reading = place.open().read(LedgerRange(110, last))
    assert [chunk.first for chunk in islice(reading, 10)] == list(range(110, 120))
    with pytest.raises(LedgerMissing, match=r"ledger 120 is missing in .*-127/FFFFFF87--120.xdr.zst is not"):
        next(reading)


def test_asking_beyond_the_newest_ledger_says_which_that_is(place: Place) -> None:
    place.put(Layout(), 100, 119)
    with pytest.raises(
        LedgerMissing, match=r"ledger 120 is not in .*, whose newest is 119: .* the chain with 110:"
    ):
        held(place.open(), 110, 125)


def test_a_ledger_that_comes_while_its_turn_is_near_is_read(
    bucket: Bucket, faulty: FaultyProxy, ledgers: tuple[bytes, ...]
) -> None:
    place = Place(f"s3://{bucket.name}", bucket.folder, ledgers)
    place.put(Layout(), 100, 109)
    faulty.upstream = bucket.server.address
    asked: list[str] = []

    def comes(_method: str, path: str) -> Fault | None:
        if "--110.xdr" in path:
            asked.append(path)
            if len(asked) == 2:  # both endings were tried in vain
                place.put(Layout(), 110, 112)
            return Fault(404, "NoSuchKey") if len(asked) <= 2 else None
        return None

    faulty.plan = comes
    assert held(place.open(endpoint=faulty.endpoint), 105, 112) == list(range(105, 113))


def test_stored_bytes_are_those_of_the_files(place: Place) -> None:
    place.put(Layout(4, 4), 100, 139)
    sizes = [(place.folder / Layout(4, 4).key(ledger)).stat().st_size for ledger in (104, 108)]
    assert place.open().stored_bytes(LedgerSet.parse("105:109")) == sum(sizes)


def test_a_big_file_comes_in_pieces(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stellarrow.sources.lake.source._WHOLE", 10_000)
    monkeypatch.setattr("stellarrow.sources.chunking._PIECE", 20_000)
    place.put(Layout(20, 1), 100, 139)
    chunks = list(place.open().read(LedgerRange(103, 137)))
    assert len(chunks) > 4
    assert held(place.open(), 103, 137) == list(range(103, 138))


def test_a_file_without_bytes_is_named(place: Place) -> None:
    place.put(Layout(), 100, 105)
    place.write(Layout().key(103), b"")
    with pytest.raises(SourceError, match=r"FFFFFF98--103.xdr.zst is empty"):
        held(place.open(), 100, 105)


def test_a_chunk_is_fetched_again(place: Place) -> None:
    place.put(Layout(), 100, 105)
    source = place.open()
    chunk = next(iter(source.read(LedgerRange(103, 103))))
    place.write(Layout().key(103), b"another")
    assert source.refetch(chunk).data == b"another"
    assert (source.refetch(chunk).first, source.refetch(chunk).where) == (103, chunk.where)


def test_a_fixed_number_of_fetchers_is_kept(place: Place) -> None:
    place.put(Layout(), 100, 139)
    source = place.open(fetchers=2)
    assert held(source, 100, 139) == list(range(100, 140))
    assert source.fetchers == 2


@pytest.mark.parametrize("wrong", [{"fetchers": 0}, {"fetchers": 1_025}, {"budget_mb": 0}, {"poll": 0.0}])
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(sa.ConfigError, match=r"must be (more than 0|1024 at most)"):
        LakeOptions(**wrong)


def follow(source: LakeSource, first: int) -> tuple[list[int], Callable[[], None]]:
    """Read from a ledger on in a thread; return what came so far, and how to wait for the end."""
    came: list[int] = []
    troubles: list[BaseException] = []

    def read() -> None:
        try:
            for chunk in source.read(LedgerRange(first)):
                came.append(chunk.last)  # noqa: PERF401  others look at it meanwhile
        except BaseException as error:
            troubles.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def finish() -> None:
        thread.join(10)
        assert not thread.is_alive()
        assert not troubles, troubles

    return came, finish


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("layout", [Layout(1, 16), Layout(4, 4), Layout(8, 1)], ids=str)
def test_an_open_range_goes_on_with_what_is_written_later(place: Place, layout: Layout) -> None:
    place.put(layout, 104, 111)
    source = place.open()
    came, finish = follow(source, 106)
    until(lambda: 111 in came)
    for first in range(112, 128, layout.ledgers_per_file):
        place.put(layout, first, first + layout.ledgers_per_file - 1)
        time.sleep(0.02)
    until(lambda: 127 in came)
    source.close()
    finish()
    assert [layout.file(ledger).first for ledger in came] == sorted(
        {layout.file(ledger).first for ledger in came}
    )


def test_a_range_may_begin_before_its_first_ledger_is_there(place: Place) -> None:
    place.put(Layout(), 100, 101)
    source = place.open()
    came, finish = follow(source, 104)
    time.sleep(0.2)
    assert came == []
    place.put(Layout(), 102, 106)
    until(lambda: came == [104, 105, 106])
    source.close()
    finish()


def test_a_file_that_comes_after_newer_ones_is_waited_for(place: Place) -> None:
    place.put(Layout(), 100, 105)
    source = place.open(poll=0.2)
    came, finish = follow(source, 104)
    until(lambda: 105 in came)
    place.put(Layout(), 107, 107)
    time.sleep(0.1)
    place.put(Layout(), 106, 106)
    until(lambda: 107 in came)
    source.close()
    finish()
    assert came == [104, 105, 106, 107]


def test_waiting_costs_one_request_a_poll(
    bucket: Bucket, faulty: FaultyProxy, ledgers: tuple[bytes, ...]
) -> None:
    faulty.upstream = bucket.server.address
    place = Place(f"s3://{bucket.name}", bucket.folder, ledgers)
    place.put(Layout(), 100, 101)
    source = place.open(poll=0.1, endpoint=faulty.endpoint)
    came, finish = follow(source, 101)
    until(lambda: 101 in came)
    time.sleep(0.1)
    before = len(faulty.seen)
    time.sleep(0.5)
    source.close()
    finish()
    asked = faulty.seen[before:]
    assert 3 <= len(asked) <= 6
    assert {path.rpartition("/")[2] for _, path in asked} == {"FFFFFF99--102.xdr.zst"}


def test_one_who_lags_behind_fetches_ahead_again(place: Place) -> None:
    place.put(Layout(), 100, 101)
    source = place.open()
    came, finish = follow(source, 100)
    until(lambda: 101 in came)
    place.put(Layout(), 102, 139)
    until(lambda: 139 in came)
    source.close()
    finish()
    assert came == list(range(100, 140))


def test_closing_ends_a_read_that_waits(place: Place) -> None:
    place.put(Layout(), 100, 101)
    source = place.open(poll=60)
    came, finish = follow(source, 100)
    until(lambda: 101 in came)
    began = time.monotonic()
    source.close()
    finish()
    assert time.monotonic() - began < 2


def test_the_pipeline_reads_it(place: Place) -> None:
    place.put(Layout(1, 16), 100, 139)
    report = sa.run(place.open(), tables=["ledgers"], sinks=[], network="synthetic")
    assert (report.ledgers, str(report.ranges)) == (40, "100:139")
