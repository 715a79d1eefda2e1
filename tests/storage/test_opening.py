"""How programs that are not ours open a store."""

from __future__ import annotations

from pathlib import Path

from stellarrow.storage import open_store


def test_a_store_opens_by_the_package_and_puts_over_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert store.put("a/b", b"first", {}) is True
    assert store.put("a/b", b"other", {}) is False
    assert (tmp_path / "a" / "b").read_bytes() == b"first"
