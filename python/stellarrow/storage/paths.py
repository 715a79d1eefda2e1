"""Where text becomes a path of this machine, and what settings name is read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_MOST: Final = 16 << 20  # bytes: no key, certificate or file of settings has as many


def local_path(text: str | os.PathLike[str]) -> Path:
    """Return the path people mean: `~` at its beginning is a home, unless no such user is known."""
    return Path(os.path.expanduser(text))  # noqa: PTH111  pathlib raises where the user is unknown


def is_path(text: str) -> bool:
    """Tell whether a text can be nothing but a path, whatever colons it has: no scheme begins so."""
    return text.startswith(("/", ".", "~"))


def given_bytes(path: Path) -> bytes:
    """Return what a file has that a setting names; an OSError where it has no end, or is no such file."""
    with path.open("rb") as file:
        held = file.read(_MOST + 1)
    if len(held) > _MOST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return held


def given_text(path: Path) -> str:
    """Return the text of a file that a setting names, without the mark that editors of Windows begin it with.

    A UnicodeDecodeError where it is no UTF-8, an OSError as of `given_bytes`.
    """
    return given_bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
