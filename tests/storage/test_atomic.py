from __future__ import annotations

import os
from pathlib import Path

import pytest

from stellarrow.storage.atomic import written_aside


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with written_aside(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [*tmp_path.iterdir()] == [path]


def test_after_an_error_what_was_there_stays_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def interrupted(path: Path) -> None:
    with written_aside(path) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    synced: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").resolve().is_dir()
        synced.append((is_folder, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with written_aside(path) as aside:
        aside.write_text("new")
    assert synced == [(False, False), (True, True)]


def test_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with written_aside(path) as one, written_aside(path) as other:
        one.write_text("one")
        other.write_text("other")
        assert one != other
    assert path.read_text() == "one"
    assert [*tmp_path.iterdir()] == [path]
