from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fakes.faulty import Fault, FaultyProxy
from fakes.versitygw import Bucket
from stellarrow import ChainBroken, ConfigError, LedgerRange, LedgerSet, Network, SinkError, SinkUnavailable
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.lake.layout import Layout
from stellarrow.lake.reader import Lake
from stellarrow.lake.writer import LakeWriter
from stellarrow.net.resilience import Guard, Policy
from stellarrow.sources.files import FileSource
from stellarrow.sources.lake import LakeSource
from stellarrow.storage.opening import open_store
from stellarrow.storage.store import Store, StoreOptions

SYNTHETIC = Network.of("synthetic")
QUICK = Policy(first_wait=0.005, longest_wait=0.02, reset_after=0.02)


def writer(store: Store, layout: Layout | None = None, *, network: Network = SYNTHETIC) -> LakeWriter:
    return LakeWriter(
        store, Guard(store.where, QUICK, refusal=SinkUnavailable), network=network, layout=layout
    )


def bring(one: LakeWriter, source: Any, ledgers: str = "100:139") -> list[int]:
    """Write what lacks, and return the first ledger of each file that was new."""
    lacking = one.lacking(one.whole(LedgerSet.parse(ledgers)))
    return [
        written.ledgers.first for part in lacking for written in one.write(source, part) if written.stored
    ]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path, ledgers: tuple[bytes, ...]) -> FileSource:
    (tmp_path / "ledgers.xdr").write_bytes(frame(ledgers, "record-marked"))
    return FileSource(tmp_path / "ledgers.xdr")


@pytest.mark.parametrize("layout", [Layout(), Layout(1, 1), Layout(5, 2), Layout(8, 1)], ids=str)
def test_what_was_written_is_read_back(source: FileSource, tmp_path: Path, layout: Layout) -> None:
    bring(writer(open_store(str(tmp_path / "lake")), layout), source)
    lake = LakeSource(tmp_path / "lake")
    first = layout.file(100).first if layout.file(100).first == 100 else layout.file(100).end + 1
    assert lake.available().first == first
    assert lake.network() == SYNTHETIC
    again = writer(open_store(str(tmp_path / "again")), Layout())
    bring(again, lake, f"{first}:{lake.available().last}")
    straight = writer(open_store(str(tmp_path / "straight")), Layout())
    bring(straight, source, f"{first}:{lake.available().last}")
    assert content(tmp_path / "again") == content(tmp_path / "straight")


def test_any_framing_makes_the_same_bytes(tmp_path: Path, ledgers: tuple[bytes, ...]) -> None:
    made = []
    for kind in ("batch", "record-marked", "base64-lines"):
        for level in (None, 3):
            path = tmp_path / f"{kind}{level}"
            path.write_bytes(frame(ledgers, kind, compression_level=level))
            bring(writer(open_store(f"{path}-lake"), Layout(4, 4)), FileSource(path))
            made.append(content(Path(f"{path}-lake")))
    assert all(one == made[0] for one in made)
    assert len(made[0]) == 11


def test_only_what_lacks_is_written(source: FileSource, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "lake"))
    assert bring(writer(store, Layout(4, 4)), source, "100:119") == [100, 104, 108, 112, 116]
    next((tmp_path / "lake").rglob("*--108-111.xdr.zst")).unlink()
    assert bring(writer(store), source) == [108, 120, 124, 128, 132, 136]
    assert bring(writer(store), source) == []


def test_ledgers_that_make_no_whole_file_are_left_out(tmp_path: Path) -> None:
    one = writer(open_store(str(tmp_path)), Layout(64, 1))
    assert str(one.whole(LedgerSet.parse("100:300"))) == "128:255"
    assert str(one.whole(LedgerSet.parse("2:64, 100:"))) == "2:63, 128:"
    assert one.whole(LedgerSet.parse("100:139")) == LedgerSet()


def test_objects_carry_what_galexie_tells(source: FileSource, bucket: Bucket) -> None:
    store = open_store(f"s3://{bucket.name}/lake")
    bring(writer(store, Layout(4, 4)), source)
    answer = store.metadata(Layout(4, 4).key(104))
    assert {name: answer[name] for name in answer if name not in ("content-type", "version")} == {
        "start-ledger": "104",
        "end-ledger": "107",
        "start-ledger-close-time": "1700000020",
        "end-ledger-close-time": "1700000035",
        "protocol-version": answer["protocol-version"],
        "network-passphrase": SYNTHETIC.passphrase,
        "compression-type": "zstd",
    }
    (bucket.folder / "lake" / ".config.json").unlink()
    assert LakeSource(f"s3://{bucket.name}/lake").network() == SYNTHETIC


def test_a_folder_and_a_bucket_get_the_same_bytes(source: FileSource, bucket: Bucket, tmp_path: Path) -> None:
    bring(writer(open_store(f"s3://{bucket.name}/lake"), Layout(4, 4)), source)
    bring(writer(open_store(str(tmp_path / "lake")), Layout(4, 4)), source)
    assert content(bucket.folder / "lake") == content(tmp_path / "lake")


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_two_writers_do_each_other_no_harm(
    source: FileSource, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "s3":
        bucket: Bucket = request.getfixturevalue("bucket")
        location, folder = f"s3://{bucket.name}/lake", bucket.folder / "lake"
    else:
        location, folder = str(tmp_path / "both"), tmp_path / "both"
    new: list[int] = []
    both = [writer(open_store(location), Layout(1, 16)) for _ in range(2)]
    threads = [
        threading.Thread(target=lambda one=one: new.extend(bring(one, FileSource(tmp_path / "ledgers.xdr"))))
        for one in both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(new) == list(range(100, 140))
    bring(writer(open_store(str(tmp_path / "one")), Layout(1, 16)), source)
    assert content(folder) == content(tmp_path / "one")


def test_a_lake_of_another_network_or_layout_is_left_alone(source: FileSource, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "lake"))
    bring(writer(store, Layout(4, 4)), source)
    before = content(tmp_path / "lake")
    with pytest.raises(SinkError, match="is a lake of synthetic, not of pubnet: choose another place"):
        writer(store, network=Network.of("pubnet"))
    with pytest.raises(SinkError, match="is a lake of 4 a file, 4 files a partition, not of 8 a file"):
        writer(store, Layout(8, 4))
    assert content(tmp_path / "lake") == before


def test_a_chain_that_breaks_is_not_written(tmp_path: Path, make_lake: Callable[..., Path]) -> None:
    other = list(islice(synthetic(20, seed=2, first=120, ledger_bytes=4_096), 20))
    (tmp_path / "other.xdr").write_bytes(frame(other, "record-marked"))
    store = open_store(str(make_lake(100, 119)))
    with pytest.raises(ChainBroken, match="ledger 120 names"):
        bring(writer(store), FileSource(tmp_path / "other.xdr"), "120:139")
    assert Lake(store, Guard("x")).tip() == 119


def test_writing_survives_a_store_that_fails_now_and_then(
    source: FileSource, bucket: Bucket, faulty: FaultyProxy
) -> None:
    faulty.upstream = bucket.server.address
    failed: set[str] = set()

    def once(method: str, path: str) -> Fault | None:
        # The second kind fails after the object was kept: trying again finds it there.
        if path in failed or method != "PUT":
            return None
        failed.add(path)
        return Fault(503, "SlowDown") if len(failed) % 2 else Fault(cut=0)

    faulty.plan = once
    store = open_store(f"s3://{bucket.name}/lake", StoreOptions(endpoint=faulty.endpoint))
    bring(writer(store, Layout(4, 4)), source)
    assert str(LakeSource(f"s3://{bucket.name}/lake").available()) == "100:139"


def test_writing_without_credentials_says_what_to_set(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store(f"s3://{bucket.name}")
    with pytest.raises(SinkError, match="cannot be written without credentials: set AWS_ACCESS_KEY_ID"):
        store.put("x", b"", {})


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match=r"cannot write to .*file/lake/x \(Not a directory\)"):
        open_store(str(tmp_path / "file" / "lake")).put("x", b"", {})


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="ftp:// is no object store: choose s3"):
        open_store("ftp://x")


def test_following_writes_each_file_when_it_is_whole(source: FileSource, tmp_path: Path) -> None:
    one = writer(open_store(str(tmp_path / "lake")), Layout(8, 1))
    lake = tmp_path / "from"
    bring(writer(open_store(str(lake)), Layout()), source, "100:120")
    following = LakeSource(lake)
    came: list[int] = []

    def run() -> None:
        for written in one.write(following, LedgerRange(104)):
            came.append(written.ledgers.end)  # noqa: PERF401  others look at it meanwhile

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    bring(writer(open_store(str(lake))), source)
    deadline = time.monotonic() + 60
    while came[-1:] != [135] and time.monotonic() < deadline:
        time.sleep(0.01)
    following.close()
    thread.join(10)
    assert not thread.is_alive()
    assert came == [111, 119, 127, 135]
