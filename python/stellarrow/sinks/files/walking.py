"""What lies in a folder of this machine: regular files, and what is none and must not be opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from stat import S_ISDIR, S_ISREG
from typing import Final

from stellarrow.sinks.files.irregular import Irregularity, irregularity
from stellarrow.sinks.files.store import Found

# Where a writer keeps what it has not placed, in the place itself: a rename must not leave the file system.
# It holds a lock on the folder for as long as it lives.
ASIDE: Final = ".writing-"


def walk(folder: str, prefix: str, root: str, deep: bool, after: str) -> Iterator[Found | Irregularity]:
    """Yield what is in a folder, its path behind a prefix; in folders below too where deep."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(ASIDE) or entry.name < after:
                continue
            path = prefix + entry.name
            with suppress(FileNotFoundError):  # another writer's compaction, just now
                held = entry.stat(follow_symlinks=False)
                if S_ISDIR(held.st_mode):
                    if deep:
                        yield from walk(entry.path, f"{path}/", root, deep, "")
                elif S_ISREG(held.st_mode):
                    yield Found(path, held.st_size, held.st_mtime)
                elif (what := _followed(entry.path, root)) is None:
                    held = entry.stat()
                    yield Found(path, held.st_size, held.st_mtime)
                else:
                    yield Irregularity(path, what)


def _followed(path: str, root: str) -> str | None:
    """Say what a link, or a special file, is if it is no regular file of the folder."""
    try:
        what = irregularity(path, root)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return "a link to nothing"
    return f"a link to {what}" if what == "a folder" else what
