"""Contracts' code out of a history archive on disk."""

from __future__ import annotations

import gzip
import json
import tarfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest

import stellarrow as sa
from core.test_typed_golden import lines
from stellarrow.core.strkey import CONTRACT as C
from stellarrow.core.strkey import decode
from stellarrow.core.typed import Knowledge
from stellarrow.pipeline.spec_cache import SpecCache
from stellarrow.scanning.spec_places import learn_from
from typed_specs import CONTRACT, u32

from .test_spec_places import HASH, RUNS_CODE, code_entry

KEY = u32(6) + u32(1) + decode(CONTRACT, C) + u32(20) + u32(1)  # LedgerKey of the instance
META = u32(0xFFFF_FFFF) + u32(25) + u32(0)


def live(data: bytes, since: int, kind: int = 0) -> bytes:
    return u32(kind) + u32(since) + data + u32(0)


def bucket(folder: Path, *records: bytes) -> str:
    whole = b"".join(u32(len(one) | 0x8000_0000) + one for one in (META, *records))
    name = sha256(whole).hexdigest()
    path = folder / "bucket" / name[:2] / name[2:4] / name[4:6] / f"bucket-{name}.xdr.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(whole))
    return name


def archive(folder: Path, *levels: tuple[str, str], evicted: tuple[str, ...] = ()) -> Path:
    state = {"currentBuckets": [{"curr": curr, "snap": snap} for curr, snap in levels]}
    hot = {"hotArchiveBuckets": [{"curr": one, "snap": "0" * 64} for one in evicted]} if evicted else {}
    (folder / ".well-known").mkdir(parents=True)
    (folder / ".well-known" / "stellar-history.json").write_text(json.dumps(state | hot))
    return folder


def known_by(place: Path, cache: Path) -> Knowledge:
    known = Knowledge([f"typed:{CONTRACT}"])
    learn_from(known, str(place), cache=SpecCache(cache))
    return known


@pytest.mark.parametrize("costs", [False, True])
def test_the_newest_bucket_tells_what_runs_and_older_and_evicted_ones_have_the_code(
    tmp_path: Path, costs: bool
) -> None:
    place = tmp_path / "archive"
    older = RUNS_CODE.replace(bytes.fromhex(HASH), bytes(32))
    new, old = bucket(place, live(RUNS_CODE, 120, 2)), bucket(place, live(older, 80))
    code = bucket(place, live(code_entry(costs=costs), 90))
    for number, (levels, evicted) in enumerate((((new, code), ()), ((new, old), (code,)))):
        made = archive(tmp_path / str(number), levels, evicted=evicted)
        (made / "bucket").symlink_to(place / "bucket")
        known = known_by(made, tmp_path / f"cache{number}")
        assert (known.history(CONTRACT), known.missing()) == ([(120, HASH)], [])


def test_what_is_removed_is_not_looked_for_in_older_buckets(tmp_path: Path) -> None:
    place = tmp_path / "archive"
    gone, old = bucket(place, u32(1) + KEY), bucket(place, live(RUNS_CODE, 80))
    assert known_by(archive(place, (gone, old)), tmp_path / "cache").history(CONTRACT) == []


@pytest.mark.parametrize("damage", ["cut", "other", "gone"])
def test_a_bucket_that_is_not_what_its_name_says_is_refused(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "archive"
    name = bucket(place, live(RUNS_CODE, 120), live(code_entry(), 90))
    (path,) = place.rglob("*.gz")
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "other":
        path.write_bytes(gzip.compress(gzip.decompress(content)[:-8] + bytes(8) + bytes(8)))
    else:
        path.unlink()
    with pytest.raises(sa.SourceError, match=r"bucket-\w+\.xdr\.gz .*: fetch the archive again"):
        known_by(archive(place, (name, "0" * 64)), tmp_path / "cache")


def test_a_state_that_is_none_is_refused(tmp_path: Path) -> None:
    place = archive(tmp_path / "archive")
    (place / ".well-known" / "stellar-history.json").write_text("{}")
    with pytest.raises(sa.SourceError, match="is not the state of an archive"):
        known_by(place, tmp_path / "cache")


@pytest.fixture(scope="module")
def futurenet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("futurenet")
    with pa.CompressedInputStream(shared / "data/archives/futurenet.tar.zst", "zstd") as stream:
        stored = stream.read()
    with tarfile.open(fileobj=BytesIO(stored)) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.glob("futurenet-*"))


def test_contracts_of_a_real_archive_run_the_code_that_they_ran(
    futurenet: Path, shared: Path, tmp_path: Path
) -> None:
    cases = lines(shared / "golden/typed_storage.futurenet.jsonl.zst")
    runs = {one["contract_id"]: one["wasm"] for one in cases if one["list"] == "live"}
    assert len(runs) > 20
    asked = [*runs][:12]
    known = Knowledge([f"typed:{one}" for one in asked])
    learn_from(known, str(futurenet), cache=SpecCache(tmp_path))
    assert {one: known.history(one)[-1][1] for one in asked} == {one: runs[one] for one in asked}
    assert known.missing() == []
