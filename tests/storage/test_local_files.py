from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from stellarrow.errors import ConfigError
from stellarrow.storage.local_files import LocalFiles


def test_closing_while_another_thread_closes_ends_what_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFiles(tmp_path)
    begun = files.create()
    removes, closed = shutil.rmtree, list[bool]()

    def close_meanwhile(*given: Any, **named: Any) -> None:
        if not closed:
            closed.append(True)
            files.close()  # as the other does, who does not wait any longer
        removes(*given, **named)

    monkeypatch.setattr(shutil, "rmtree", close_meanwhile)
    files.close()
    begun.discard()
    assert closed
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_whose_name_is_no_utf_8_is_refused_and_its_files_are_not_called_damaged(
    tmp_path: Path,
) -> None:
    folder = tmp_path / os.fsdecode(b"not-\xff")
    with pytest.raises(ConfigError, match=r"not-\\xff' is no name in UTF-8: rename it"):
        LocalFiles(folder)
    assert not folder.exists()
