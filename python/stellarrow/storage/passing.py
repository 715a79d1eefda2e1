"""Which of the system's refusals pass by themselves, or once something elsewhere is repaired."""

from __future__ import annotations

import errno
from typing import Final

_PASSING: Final = frozenset(
    (
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EBUSY),
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN),
    )
)


def is_passing(error: OSError) -> bool:
    """Tell whether the same may well succeed later: nothing says that the file is not sound."""
    return error.errno in _PASSING
