"""No core files: what a process that crashes would leave on the disk holds its keys and tokens."""

from __future__ import annotations

import ctypes
import logging
import resource
import sys
from typing import Final

_SET_DUMPABLE: Final = 4  # PR_SET_DUMPABLE of Linux's <sys/prctl.h>
_log: Final = logging.getLogger(__name__)


def leave_no_core_file() -> None:
    """Let this process leave no core file, and no other process of its user read its memory.

    The limit of size alone would not hold where the system hands core files to a program, such as systemd's.
    A program that this one starts may be read again, and inherits the limit.
    """
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_SET_DUMPABLE, 0, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    except (OSError, ValueError) as error:
        _log.warning("a crash may leave a core file, which would hold secrets (%s)", error)
