"""Ctrl-C while a library computes: Python itself hears of it only when the library returns."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupting(interrupt: Callable[[], object]) -> Iterator[None]:
    """Call `interrupt` from a thread of its own when Ctrl-C comes within the block.

    Nothing is done in other threads than the main one, which alone hears signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, written = os.pipe()
    os.set_blocking(written, False)
    watcher = threading.Thread(target=_watch, args=(heard, interrupt), name="stellarrow-ctrl-c", daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(written)
        watcher.join()
        os.close(heard)


def _watch(heard: int, interrupt: Callable[[], object]) -> None:
    while come := os.read(heard, 1):
        if come[0] == signal.SIGINT:
            interrupt()
