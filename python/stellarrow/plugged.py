"""Whether an installed package may add sources or sinks: found out without loading what reads them all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

_GROUPS: Final = b"[stellarrow."
_LISTS: Final = "entry_points.txt"


def may_be_plugged() -> bool:
    """Tell whether the entry points of installed packages have to be looked at."""
    others = (one for one in sys.meta_path if one is not PathFinder and hasattr(one, "find_distributions"))
    return any(True for _ in others) or any(map(_may_hold, sys.path))


def _may_hold(place: str) -> bool:
    folder = Path(place or ".")
    if folder.is_file():
        return True  # an archive, of which importlib.metadata knows how to read it
    return any(_GROUPS in text for text in _lists(folder))


def _lists(folder: Path) -> Iterator[bytes]:
    """Yield the lists of entry points that lie in a folder of packages."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                yield (folder / name / _LISTS).read_bytes()
            except OSError:
                continue
