"""Jars that `make servers` fetches."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def jars(name: str) -> Path:
    """Return a folder of jars; the test is skipped where they, or Java, are not."""
    folder = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin")).parent / name
    if not (folder / ".jars").is_file():
        pytest.skip(f"{folder} has no jars: make servers fetches them where there are Maven and Java")
    if not shutil.which("java"):
        pytest.skip("this takes Java: install a JDK, such as Debian's default-jdk-headless")
    return folder
