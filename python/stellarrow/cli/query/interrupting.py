"""Ctrl-C while a library computes or is imported: Python itself hears of it only when the library returns."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Final

_IMPORTING: Final = "<frozen importlib"  # where the frames of an import are
_IMPORT_SECONDS: Final = 0.05  # until it is looked again whether it is over
_heard: Final = threading.Event()


def spare_imports() -> None:
    """Let Ctrl-C wait while a module is imported: some swallow it then, or end the process without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def was_interrupted() -> bool:
    """Tell whether Ctrl-C has come since this was last asked."""
    was = _heard.is_set()
    _heard.clear()
    return was


def _interrupt(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            again = partial(signal.pthread_kill, threading.main_thread().ident or 0, number)
            later = threading.Timer(_IMPORT_SECONDS, again)
            later.daemon = True
            later.start()
            return
        frame = frame.f_back
    _heard.set()
    raise KeyboardInterrupt


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
