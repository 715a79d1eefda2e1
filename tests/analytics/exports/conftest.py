"""A service whose exports tests order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from analytics.conftest import PORTS, Served
from stellarrow.config import Analytics, read
from stellarrow.servers.analytics_exports import parts
from stellarrow.services.analytics import AnalyticsService

Oracle = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports") / "state"


@pytest.fixture(scope="module")
def served(real_data: Path, state: Path) -> Iterator[Served]:
    """One service for tests that leave it as it was."""
    settings = read(Analytics, {**PORTS, "data": str(real_data), "state_dir": str(state)}, environ={})
    service = AnalyticsService(settings)
    with closing(Served(service)) as made:
        service.start()
        yield made


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
