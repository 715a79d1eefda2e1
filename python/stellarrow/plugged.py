"""What installed packages add by entry points; the library that reads these is loaded only where one may."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_GROUPS: Final = b"[stellarrow."
_LISTS: Final = "entry_points.txt"


def points(group: str) -> list[EntryPoint]:
    """Return the entry points of a group, by name."""
    if not _may_be_any():
        return []
    from importlib.metadata import entry_points  # noqa: PLC0415  slow to load, and few have plug-ins

    return sorted(entry_points(group=group), key=lambda point: point.name)


def _may_be_any() -> bool:
    others = (one for one in sys.meta_path if one is not PathFinder and hasattr(one, "find_distributions"))
    return any(True for _ in others) or any(map(_may_hold, sys.path))


def _may_hold(place: str) -> bool:
    if os.path.isfile(place):  # noqa: PTH113  Path's own raises where it may not look
        return True  # an archive, of which importlib.metadata knows how to read it
    return any(_GROUPS in text for text in _lists(Path(place or ".")))


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
