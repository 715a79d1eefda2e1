"""What lies in a folder and must not be opened: links that lead out of it, pipes, devices, sockets.

Whoever may write into a folder can put one in a file's place. Opening a pipe waits for ever, and a link may
lead to anything.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stellarrow.errors import SinkError

_KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISDIR, "a folder"),
)


class Irregular(SinkError):
    """Something else than a file of this place is where a file must be; it was not opened."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path} is {what}, and was not opened: remove it, then run the same again")
        self.what = what


@dataclass(frozen=True, slots=True)
class Irregularity:
    """A path below the place, and what is there in a file's place."""

    path: str
    what: str


def leads_out(path: str, root: str) -> bool:
    """Tell whether a path, followed through links, is outside of a folder whose real path is known."""
    real = os.path.realpath(path)
    return real != root and not real.startswith(root.rstrip("/") + "/")


def irregularity(path: str, root: str) -> str | None:
    """Say what is there if it is no regular file inside the folder; OSError where nothing is."""
    if leads_out(path, root):
        os.lstat(path)
        return "a link that leads out of the folder"
    mode = Path(path).stat().st_mode
    if stat.S_ISREG(mode):
        return None
    return next((answer for is_kind, answer in _KINDS if is_kind(mode)), "no regular file")
