"""What a log and its checkpoints cost, however many commits there were, and that they tell what is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stellarrow.sinks.delta import checkpoint
from stellarrow.sinks.delta.checkpoint import Checkpoints
from stellarrow.sinks.delta.log import DeltaLog
from stellarrow.sinks.delta.snapshot import Snapshot
from stellarrow.storage.local_files import LocalFiles


def added(name: str, *, rows: int = 1) -> dict[str, Any]:
    told = {"path": name, "partitionValues": {}, "size": 10, "modificationTime": 1, "dataChange": True}
    return {"add": {**told, "stats": f'{{"numRecords":{rows}}}', "tags": {"stellarrow.sha256": name}}}


def removed(name: str, at: int) -> dict[str, Any]:
    told = {"path": name, "deletionTimestamp": at, "dataChange": True, "extendedFileMetadata": True}
    return {"remove": {**told, "partitionValues": {}, "size": 10}}


def merged(merges: int, files: int) -> Snapshot:
    """Return a table of one large file a merge, and of as many small ones that were not merged yet."""
    made = Snapshot("a table")
    for at in range(merges):
        small = [f"{at}-{one}" for one in range(files)]
        made.apply(2 * at, map(added, small))
        made.apply(2 * at + 1, [*(removed(one, 1_000 + at) for one in small), added(f"large-{at}")])
    made.apply(2 * merges, [added(f"new-{one}") for one in range(files)])
    return made


def read_back(data: pa.Buffer) -> Snapshot:
    found = Snapshot("a table")
    found.apply(0, checkpoint.read(pa.BufferReader(data)))
    return found


def plain(files: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return actions without what a checkpoint tells otherwise."""
    return [{name: value for name, value in one.items() if name != "dataChange"} for one in files.values()]


def test_a_checkpoint_makes_columns_of_what_came_since_the_one_before_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, columns = 0, checkpoint._columns

    def counted(kind: str, actions: Sequence[Any]) -> pa.RecordBatch:
        nonlocal made
        made += len(actions)
        return columns(kind, actions)

    monkeypatch.setattr(checkpoint, "_columns", counted)
    snapshot, written = merged(20, 200), Checkpoints()
    written.written(snapshot)
    assert made >= 4_220, "not counted"
    made = 0
    snapshot.apply(99, [added("one-more")])
    data, count = written.written(snapshot)
    assert (made, count) == (221, 4_221), "the files that are not replaced, and no more"
    assert plain(read_back(data).removed) == plain(snapshot.removed)
    assert plain(read_back(data).files) == plain(snapshot.files)


def test_a_checkpoint_tells_a_file_that_was_added_again_as_it_is_by_now() -> None:
    snapshot, written = merged(0, checkpoint._KEPT_BLOCK), Checkpoints()
    written.written(snapshot)
    snapshot.apply(99, [added("new-7", rows=99)])
    assert plain(read_back(written.written(snapshot)[0]).files) == plain(snapshot.files)


class Counted(LocalFiles):
    """Counts how often it is listed."""

    listed = 0

    def list(self, folder: str, *, deep: bool = False, after: str = "") -> list[Any]:
        self.listed += 1
        return super().list(folder, deep=deep, after=after)


def test_what_others_committed_since_a_look_is_read_without_a_listing_and_later_cleaning_is_found(
    tmp_path: Path,
) -> None:
    store, other = Counted(tmp_path), DeltaLog(LocalFiles(tmp_path), "a")
    assert all(other.commit("WRITE", [added(f"file-{at}")]) for at in range(3))
    log = DeltaLog(store, "a")
    assert log.refresh().version == 2
    store.listed = 1
    assert all(other.commit("WRITE", [added(f"file-{at}")]) for at in range(3, 6))
    assert (log.refresh().version, store.listed) == (5, 1)
    assert (log.refresh().version, store.listed) == (5, 2), "where nothing came, a listing tells why"
    assert all(other.commit("WRITE", [added(f"file-{at}")]) for at in range(6, 9))
    other.write_checkpoint()
    store.remove(f"a/_delta_log/{at:020d}.json" for at in range(8))
    assert (log.refresh().version, [*log.snapshot.files]) == (8, [f"file-{at}" for at in range(9)])
