"""Fixtures of the sinks' tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from sinks import crash


@pytest.fixture(scope="session")
def forks() -> Iterator[subprocess.Popen[str]]:
    """A warm interpreter whose forks may die."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", crash.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        assert process.stdin
        process.stdin.close()
