"""Who waits for a lock that another process keeps says so."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from pathlib import Path

import pytest

from stellarrow.storage.local_files import LocalFiles


def test_a_folder_that_another_keeps_locked_is_named_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "ledgers"
    folder.mkdir()
    other = os.open(folder, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    entered = threading.Event()

    def write() -> None:
        with LocalFiles(tmp_path).alone("ledgers"):
            entered.set()

    with caplog.at_level(logging.WARNING):
        writer = threading.Thread(target=write)
        writer.start()
        deadline = time.monotonic() + 60
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not entered.is_set()
        os.close(other)
        writer.join(10)
    assert entered.is_set()
    assert [message for message in caplog.messages if f"waiting for {folder}" in message]


def test_a_lock_that_is_free_is_taken_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), LocalFiles(tmp_path).alone("ledgers") as locked:
        assert locked
    assert caplog.messages == []
