"""A service whose exports tests order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from analytics.conftest import Served
from stellarrow.servers.analytics_exports import parts

Oracle = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(autouse=True)
def no_exports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove the exports of a test from the service that others use, too."""
    yield
    if "served" in request.fixturenames:
        shared: Served = request.getfixturevalue("served")
        for one in shared.get("/v1/exports").json()["exports"]:
            shared.client.delete(f"/v1/exports/{one['id']}")


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be full after some rows."""
    monkeypatch.setattr(parts, "MOST_ROWS", 50)
