"""Places of shared records: each kind on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.postgres import web_url


@pytest.fixture(params=["folder", "s3", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty place."""
    if request.param == "folder":
        return str(tmp_path / "records")
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('exact_bucket').name}/records"
    return str(request.getfixturevalue("database_url"))


@pytest.fixture
def database_url(database: str) -> str:
    """The empty database as a URL, as people write it."""
    return web_url(database)
