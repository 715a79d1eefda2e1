"""Programs that check what `deploy/` has: those that `make deploy-tools` fetched, and those installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(sys.prefix) / "deploy-tools"


def tool(name: str) -> Path:
    """Return a program; a test that asks for one that is not there is skipped."""
    path = f"{FOLDER / 'bin'}:{FOLDER / 'root' / 'usr' / 'bin'}"
    if found := shutil.which(name, path=path) or shutil.which(name):
        return Path(found)
    pytest.skip(f"{name} is not here: make deploy-tools fetches it, where it can")
