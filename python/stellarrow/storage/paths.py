"""Where text becomes a path of this machine."""

from __future__ import annotations

import os
from pathlib import Path


def local_path(text: str | os.PathLike[str]) -> Path:
    """Return the path people mean: `~` at its beginning is a home, unless no such user is known."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  pathlib raises where the user is unknown
