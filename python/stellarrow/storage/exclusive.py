"""Putting a file in place, whole, where there is none: never over one that is there.

A hard link does it everywhere but on file systems that have none (exFAT, many network and FUSE mounts). There
a rename that replaces nothing does, where the system knows one; else a lock on the folder, which keeps out
those that take it too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from stellarrow.storage.atomic import aside_of, removed_after_errors, sync_folder
from stellarrow.storage.lock_waits import lock_exclusively

_NO_SUCH_CALL: Final = frozenset(
    (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EMLINK)
)
_HERE: Final = -100  # AT_FDCWD
_NOREPLACE: Final = 1  # RENAME_NOREPLACE, linux/fs.h


def write_new(path: Path, data: bytes) -> bool:
    """Write a file, durably; False where there is one of its name already."""
    aside = aside_of(path)
    with removed_after_errors(aside):
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return put_new(aside, path)


def put_new(aside: Path, path: Path) -> bool:
    """Give a synced file its name, durably, and remove the one aside; False where the name is taken."""
    ways: tuple[Callable[[Path, Path], None], ...] = (_link, _rename_to_nothing, _rename_alone)
    for way in ways:
        try:
            way(aside, path)
        except FileExistsError:
            aside.unlink(missing_ok=True)
            return False
        except OSError as error:
            if error.errno not in _NO_SUCH_CALL or way is ways[-1]:
                raise
        else:
            sync_folder(path.parent)
            return True
    raise AssertionError("the last way returns or raises")


def _link(aside: Path, path: Path) -> None:
    os.link(aside, path)  # unlike a rename it fails where there is a file already
    aside.unlink()


def _rename_to_nothing(aside: Path, path: Path) -> None:
    rename = _renameat2()
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_HERE, os.fsencode(aside), _HERE, os.fsencode(path), _NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _renameat2() -> Callable[..., int] | None:
    """Return the C library's call; None where it has none."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        call = library.renameat2
    except AttributeError:
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call


def _rename_alone(aside: Path, path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks either: then the moment between is all there is
            lock_exclusively(folder, path.parent)
        if path.exists() or path.is_symlink():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        aside.replace(path)
    finally:
        os.close(folder)
