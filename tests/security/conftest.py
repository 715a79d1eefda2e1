from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from security.deployment import Deployment, deployed
from stellarrow.cli.commands.synth import write_lake
from stellarrow.ledgers import Network


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory, ledgers: tuple[bytes, ...]) -> Path:
    folder = tmp_path_factory.mktemp("secured") / "lake"
    write_lake(folder, iter(ledgers), first=100, network=Network.of("synthetic"))
    return folder


@pytest.fixture(scope="module")
def with_keys(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Every service, which API keys let in."""
    with deployed(lake, tmp_path_factory.mktemp("state") / "state", {"auth": "api_key"}) as made:
        yield made
