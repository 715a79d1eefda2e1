"""What a file system refuses, as errors of ours with what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stellarrow.errors import SinkError, SinkUnavailable, SourceError, SourceUnavailable

# Refusals that pass by themselves, or once something elsewhere is repaired.
_PASSING: Final = frozenset(
    (
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EBUSY),
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN),
    )
)
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def is_passing(error: OSError) -> bool:
    """Tell whether the same may well succeed later: nothing says that the file is not sound."""
    return error.errno in _PASSING


def reason(error: OSError) -> str:
    """Return what the system says, without the path and the number."""
    return os.strerror(error.errno) if error.errno else str(error)


def unreadable(path: Path, error: OSError) -> SourceError:
    """Return the error of a file or folder that a source cannot read."""
    if is_passing(error):
        return SourceUnavailable(f"{path} cannot be read now ({reason(error)}): try again later")
    what = "check its permissions" if error.errno in (errno.EACCES, errno.EPERM) else "choose another"
    return SourceError(f"{path} cannot be read ({reason(error)}): {what}")


def remedy(error: OSError, other: str = "choose another place") -> str:
    """Return what to do where something cannot be written; `other` is where else it may go."""
    if error.errno in _FULL:
        return f"make room there, or {other}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"fix its permissions, or {other}"
    if error.errno == errno.EROFS:
        return f"mount it for writing, or {other}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"a file is where a folder must be; remove it, or {other}"
    return "check the disk" if is_passing(error) else other


@contextmanager
def translate_os_errors(path: Path, doing: str) -> Iterator[None]:
    """Translate what is refused to a sink, which was `doing` something such as "write to"."""
    try:
        yield
    except OSError as error:
        if doing == "read" and isinstance(error.filename, str):
            path = Path(error.filename)  # what is refused may lie below
        todo = remedy(error, f"choose a folder you may {doing}")
        kind = SinkUnavailable if is_passing(error) else SinkError
        raise kind(f"cannot {doing} {path} ({reason(error)}): {todo}, then run the same again") from error
