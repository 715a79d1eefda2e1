"""Threads that work in bulk, and those that answer: a control call shall not wait for either core."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import Final

_NICENESS: Final = 10  # of 19: answers come first, and so do other busy processes of the machine

_this_thread: Final = threading.local()


def lower_priority() -> None:
    """Let threads that answer clients run before this one; only Linux knows a thread's niceness."""
    if sys.platform == "linux" and not getattr(_this_thread, "gives_way", False):
        _this_thread.gives_way = True
        thread = threading.get_native_id()
        with suppress(OSError):  # a container may forbid it
            os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
