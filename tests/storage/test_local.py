"""Objects as files of a folder, on file systems that know few ways to put a file in place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from stellarrow import SinkError
from stellarrow.storage import exclusive
from stellarrow.storage.opening import open_store

REFUSALS = [errno.EPERM, errno.ENOTSUP, errno.ENOSYS]


def links(patch: pytest.MonkeyPatch) -> None:
    """Leave everything as it is."""


def no_links(patch: pytest.MonkeyPatch) -> None:
    """Refuse hard links, as exFAT does."""
    refuse(patch, errno.EPERM)


def no_renames_either(patch: pytest.MonkeyPatch) -> None:
    """Refuse hard links, and know no rename that replaces nothing."""
    refuse(patch, errno.ENOTSUP)
    patch.setattr(exclusive, "_renameat2", lambda: None)


def refuse(patch: pytest.MonkeyPatch, number: int) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    patch.setattr(os, "link", link)


Ways = Callable[[pytest.MonkeyPatch], None]
WAYS = pytest.mark.parametrize("ways", [links, no_links, no_renames_either])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@WAYS
def test_a_file_is_put_whole_and_never_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: Ways
) -> None:
    ways(monkeypatch)
    store = open_store(str(tmp_path / "lake"))
    assert store.put("A--1/one.xdr", b"one", {})
    assert not store.put("A--1/one.xdr", b"other", {})
    assert contents(tmp_path / "lake") == {"A--1/one.xdr": b"one"}


@pytest.mark.parametrize("number", REFUSALS)
def test_every_way_to_refuse_a_hard_link_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number)
    assert open_store(str(tmp_path)).put("one", b"one", {})
    assert contents(tmp_path) == {"one": b"one"}


@WAYS
def test_of_writers_at_once_one_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: Ways) -> None:
    ways(monkeypatch)
    store = open_store(str(tmp_path))
    for name in map(str, range(20)):
        barrier = Barrier(4)
        firsts: list[bytes] = []

        def write(own: bytes, name: str = name, barrier: Barrier = barrier, firsts: Any = firsts) -> None:
            barrier.wait()
            if store.put(name, own, {}):
                firsts.append(own)

        threads = [Thread(target=write, args=(bytes([one]),)) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(firsts) == 1
        assert (tmp_path / name).read_bytes() == firsts[0]
    assert len(contents(tmp_path)) == 20


@WAYS
def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: Ways
) -> None:
    ways(monkeypatch)
    synced: list[tuple[bool, bool]] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        is_folder = Path(f"/proc/self/fd/{descriptor}").resolve().is_dir()
        synced.append((is_folder, (tmp_path / "one").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    open_store(str(tmp_path)).put("one", b"one", {})
    assert synced == [(False, False), (True, True)]


def test_a_disk_that_refuses_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, errno.EIO)
    with pytest.raises(SinkError, match=r"cannot write to .*one \(Input/output error\): check the disk"):
        open_store(str(tmp_path)).put("one", b"one", {})
    assert not contents(tmp_path)
