"""How programs that are not ours open a store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stellarrow.errors import ConfigError
from stellarrow.storage import open_store


def test_a_store_opens_by_the_package_and_puts_over_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    assert store.put("a/b", b"first", {}) is True
    assert store.put("a/b", b"other", {}) is False
    assert (tmp_path / "a" / "b").read_bytes() == b"first"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://", "s3:// names no bucket: write s3://BUCKET/PREFIX"),
        ("s3:///prefix", "names no bucket: write s3://BUCKET/PREFIX"),
        ("gs://", "names no bucket: write gs://BUCKET/PREFIX"),
        ("https://", "names no host: write https://HOST/PATH"),
    ],
)
def test_a_url_without_a_bucket_or_a_host_is_asked_of_nobody(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        open_store(url)
