"""What lies in a folder of this machine: regular files, and what is none and must not be opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from stat import S_ISREG
from typing import Final

from stellarrow.storage.files import Found
from stellarrow.storage.irregular import Irregularity, irregularity

# Where a writer keeps what it has not placed, in the place itself: a rename must not leave the file system.
# It holds a lock on the folder for as long as it lives.
ASIDE: Final = ".writing-"


def walk(
    folder: str, prefix: str = "", *, root: str | None = None, deep: bool = True, after: str = ""
) -> Iterator[Found | Irregularity]:
    """Yield what is in a folder beyond a path, in the order of the paths; in folders below too where deep.

    Paths begin with the prefix. Where there is a root, folders behind links are not entered, and what is no
    regular file inside the root is irregular.
    """
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for path, entry in sorted(_named(entries, prefix, root), key=lambda one: one[0]):
            if path.endswith("/"):
                if deep and (path > after or after.startswith(path)):
                    yield from walk(entry.path, path, root=root, after=after)
            elif path > after:
                with suppress(FileNotFoundError):  # another writer's compaction, just now
                    yield _inspected(entry, path, root)


def _named(
    entries: Iterable[os.DirEntry[str]], prefix: str, root: str | None
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield entries with their paths; that of a folder ends in a slash, which takes part in their order."""
    for entry in entries:
        if not entry.name.startswith(ASIDE):
            slash = "/" if entry.is_dir(follow_symlinks=root is None) else ""
            yield f"{prefix}{entry.name}{slash}", entry


def _inspected(entry: os.DirEntry[str], path: str, root: str | None) -> Found | Irregularity:
    held = entry.stat(follow_symlinks=root is None)
    if root is not None and not S_ISREG(held.st_mode):
        if what := _followed(entry.path, root):
            return Irregularity(path, what)
        held = entry.stat()
    return Found(path, held.st_size, held.st_mtime)


def _followed(path: str, root: str) -> str | None:
    """Say what a link, or a special file, is if it is no regular file of the folder."""
    try:
        what = irregularity(path, root)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            raise
        return "a link to nothing"
    return f"a link to {what}" if what == "a folder" else what
