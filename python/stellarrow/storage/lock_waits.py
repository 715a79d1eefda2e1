"""Taking a lock on a file or folder, and saying so where another process keeps it for long."""

from __future__ import annotations

import fcntl
import logging
import time
from typing import Final

_SILENT_SECONDS: Final = 2.0  # writers of stellarrow hold these locks for less
_POLL_SECONDS: Final = 0.05
_log: Final = logging.getLogger(__name__)


def lock_exclusively(descriptor: int, name: object) -> None:
    """Return once nobody else has locked it; OSError where the file system knows no locks."""
    deadline = time.monotonic() + _SILENT_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    _log.warning(
        "waiting for %s, which another process has locked: this goes on when that one is done, or ends", name
    )
    fcntl.flock(descriptor, fcntl.LOCK_EX)
