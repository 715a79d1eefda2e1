from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.aged import DAY, Aged
from stellarrow.errors import ConfigError
from stellarrow.lifecycle.free_space import Room
from stellarrow.lifecycle.plan import ARCHIVE, DELETE, DELETE_ARCHIVED
from stellarrow.lifecycle.policies import Policy

DISK = 10_000_000


@pytest.fixture
def aged(tmp_path: Path, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> Aged:
    """Four files, on a disk that holds nothing else: the place, and the archive where that is on it."""
    made = Aged(tmp_path, ledgers, tables=("contract_data",))
    made.days = 1
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=DISK, free=DISK - used(made.place))
    )
    return made


def used(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet"))


def room(aged: Aged, more: int, *, archive_is_here: bool = False) -> Room:
    """Want so many bytes more than are free."""
    return Room(aged.place, DISK - used(aged.place) + more, archive_is_here)


def test_enough_room_frees_nothing(aged: Aged) -> None:
    assert aged.run(room=room(aged, 0)).done == []


def test_the_oldest_is_archived_before_its_time_until_there_is_room(aged: Aged) -> None:
    report = aged.run(room=room(aged, 1))
    assert [(step.action, str(step.ledgers), step.is_early) for step in report.done] == [
        (ARCHIVE, "100:109", True)
    ]
    assert aged.covered() == "100:139"
    assert aged.rows() == aged.expected()


def test_the_newest_stays_and_what_lacks_is_told(aged: Aged) -> None:
    report = aged.run(room=room(aged, DISK // 2))
    assert aged.here() == "130:139"
    assert "lacks" in report.problems[-1]


def test_nothing_that_must_be_archived_goes_without_an_archive_on_another_disk(aged: Aged) -> None:
    for more in ({"archive": None}, {}):
        report = aged.run(room=room(aged, 1, archive_is_here=True), **more)
        assert report.done == []
        assert "an archive on another disk" in report.problems[-1]
    assert aged.here() == "100:139"


def test_what_needs_no_archive_is_deleted_oldest_first(aged: Aged) -> None:
    aged.policy = Policy(delete=900 * DAY)
    report = aged.run(archive=None, room=room(aged, 1))
    assert [(step.action, str(step.ledgers)) for step in report.done] == [(DELETE, "100:109")]
    assert aged.covered() == "100:139"


def test_what_is_kept_for_ever_stays_on_a_full_disk(aged: Aged) -> None:
    aged.policy = Policy()
    assert aged.run(archive=None, room=room(aged, 1)).done == []


def test_an_archive_on_the_same_disk_loses_its_oldest_first(
    aged: Aged, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged.days = 10
    aged.run()
    total = used(aged.folder)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=DISK, free=DISK - used(aged.folder))
    )
    report = aged.run(room=Room(aged.place, DISK - total + 1, archive_is_here=True))
    assert [(step.action, str(step.ledgers)) for step in report.done] == [(DELETE_ARCHIVED, "100:109")]
    assert aged.covered() == "100:139"


@pytest.mark.parametrize("text", ["", "lots", "10", "-1GB", "100%", "11MB", f"{'9' * 400}GB"])
def test_what_is_no_room_is_a_sentence(aged: Aged, text: str) -> None:
    with pytest.raises(ConfigError, match="min_free"):
        Room.of(text, "min_free", aged.place, None)


def test_room_is_bytes_or_a_share(aged: Aged) -> None:
    assert Room.of("10%", "min_free", aged.place, aged.old) == Room(aged.place, DISK // 10, True)
    assert Room.of("2.5 MB", "min_free", aged.place, None) == Room(aged.place, 2_500_000, False)
