"""SIGINT and SIGTERM: the first asks to stop, the second ends the process."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final, NoReturn

from stellarrow.cli.output.said import say

_PATIENCE: Final = 9.0  # seconds from the signal to the end, come what may
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_BATCH: Final = "the batch in hand took too long, ended without it: the same command line continues"
_STOPPING: Final = "stopping: what is in hand is finished first; the same signal again ends it at once"
LATE: Final = "a part did not end in time, ended without it: what was durable stays, the next start continues"


@dataclass(slots=True)
class Stop:
    """Whether to stop, and which signal said so; `late` is said where stopping takes too long.

    While the block is still `starting`, there is nothing to finish: a signal is an interruption.
    """

    event: threading.Event = field(default_factory=threading.Event)
    signal: int | None = None
    late: str = _BATCH
    starting: bool = False

    def begin(self) -> None:
        """Note that from now on there is something to finish."""
        self.starting = False

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that such a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)


@contextmanager
def stopping(late: str = _BATCH, *, starting: bool = False) -> Iterator[Stop]:
    """Yield what the first signal sets; the block then has some seconds. Only a main thread is told.

    Python runs handlers in the main thread, between two of its steps. A signal that comes just before that
    thread begins to wait is seen when the wait is over, which may be never. So the signal itself wakes a
    thread that waits for nothing else.
    """
    stop = Stop(late=late, starting=starting)
    interrupted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def asked(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the handler's signature
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        if stop.starting:
            interrupted.append(number)
            raise KeyboardInterrupt

    ours, written = socket.socketpair()
    written.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(ours, stop), name="stellarrow-signals", daemon=True)
    watcher.start()
    fd_before = signal.set_wakeup_fd(written.fileno(), warn_on_full_buffer=False)
    before = {one: signal.signal(one, asked) for one in _SIGNALS}
    try:
        yield stop
    except KeyboardInterrupt:
        if not interrupted:
            raise
        say("error: interrupted", err=True)
        end_process(128 + interrupted[0])
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(fd_before)
        written.close()
        watcher.join()
        ours.close()


def end_process(code: int) -> NoReturn:
    """End now, with all that counts on disk, whatever threads of others still wait for."""
    for one in (sys.stdout, sys.stderr):
        one.flush()
    os._exit(code)


def _watch(signals: socket.socket, stop: Stop) -> None:
    """Set `stop` at the first signal; end the process at the second, or if the block takes too long."""
    while stop.signal is None:
        come = signals.recv(1)
        if not come:
            return
        if come[0] in _SIGNALS:
            stop.signal = come[0]
            stop.event.set()
            if stop.late == LATE and sys.stderr.isatty():
                say("stopping: what is in hand is finished first; the same again ends it at once", err=True)
    signals.settimeout(_PATIENCE)
    try:
        while come := signals.recv(1):
            if come[0] in _SIGNALS:  # it came before the main thread could let the system end it
                os._exit(128 + come[0])
    except TimeoutError:
        # What is durable stays whole, as after a crash.
        say(f"error: {stop.late}", err=True)
        os._exit(stop.exit_code)
