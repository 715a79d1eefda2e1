"""What a service remembers is for its own user: folders 0700, files 0600."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = 0o700
_FILE: Final = 0o600
_log: Final = logging.getLogger(__name__)


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that are not there, for its user alone; one that is there stays."""
    for one in (*reversed(path.parents), path):
        if not one.exists():
            one.mkdir(mode=_FOLDER, exist_ok=True)
    path.mkdir(exist_ok=True)  # fails where it is a file


def private_file(path: Path, mode: str, *, buffering: int = -1) -> Any:
    """Open a file that, where it is made, is for its user alone."""
    return open(path, mode, buffering, opener=lambda name, flags: os.open(name, flags, _FILE))


def warn_of_open_files(paths: Iterable[Path]) -> None:
    """Say which files with secrets others may read; they are of the operator, who has to close them."""
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # what is not there is told where it is needed
        if mode & 0o077:
            _log.warning("%s holds a secret, and others may use it (%o): chmod 600 %s", path, mode, path)


def keep_private(folder: Path, within: Iterable[Path]) -> None:
    """Take from others what they may do with a folder, and with what lies at or below some paths in it.

    What the system refuses, as of a folder of another user, is told and left; so is a folder that all share.
    """
    found = [folder]
    for path in within:
        found += [path, *path.rglob("*")] if path.is_dir() else [path]
    for path in found:
        try:
            answer = path.lstat()
            is_shared = bool(answer.st_mode & stat.S_ISVTX)
            if stat.S_ISLNK(answer.st_mode) or not answer.st_mode & 0o077:
                continue
            if is_shared:
                _log.warning("%s is shared by all users of this machine: choose another folder", path)
            else:
                path.chmod(_FOLDER if stat.S_ISDIR(answer.st_mode) else _FILE)
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.warning("%s may be read by others, and cannot be changed (%s)", path, error.strerror)
