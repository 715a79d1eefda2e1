"""The wheel of this tree, for tests of what people install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
BUILD_SECONDS: Final = 1_800.0


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that STELLARROW_WHEEL names, such as one about to be uploaded, or one built here."""
    if given := os.environ.get("STELLARROW_WHEEL"):
        return Path(given).resolve()
    maturin = shutil.which("maturin", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not maturin or not shutil.which("cargo"):
        pytest.skip("maturin or cargo is not here")
    folder = tmp_path_factory.mktemp("wheel")
    words = [maturin, "build", "--release", "--quiet", "--out", str(folder), "-i", sys.executable]
    subprocess.run(words, cwd=ROOT, check=True, timeout=BUILD_SECONDS, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made
