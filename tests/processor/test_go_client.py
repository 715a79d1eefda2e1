"""A client that is not pyarrow: Go, as older consumers are written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Start

_SOURCE = Path(__file__).with_name("goclient")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's program; skipped where there is no Go, or no way to its modules."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go to build the client with")
    built = tmp_path_factory.mktemp("goclient") / "client"
    done = subprocess.run(
        [go, "build", "-o", str(built), "."],
        cwd=_SOURCE,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the Go client does not build: {done.stderr.strip().splitlines()[-1]}")
    return built


@pytest.mark.slow
def test_a_go_client_reads_contract_data_to_its_end(
    start: Start, client: Path, expected: Callable[..., list[dict[str, Any]]]
) -> None:
    service = start()
    service.finished(service.processor.start(100, 139).id)
    done = subprocess.run(
        [client, str(service.flight.address)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [row for line in done.stdout.splitlines() for row in json.loads(line)]
    wanted = expected("contract_data@1.0")
    assert len(rows) == len(wanted)
    for row, told in zip(rows, wanted, strict=True):
        assert {name: value for name, value in row.items() if name != "closed_at"} == {
            name: value for name, value in told.items() if name != "closed_at"
        }
        assert row["closed_at"][:19] == told["closed_at"].isoformat(sep=" ")[:19]
