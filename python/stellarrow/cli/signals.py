"""SIGINT and SIGTERM: the first asks to stop, the second ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

import click

_PATIENCE: Final = 9.0  # seconds from the signal to the end, come what may
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Stop:
    """Whether to stop, and which signal said so."""

    event: threading.Event = field(default_factory=threading.Event)
    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that such a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or signal.SIGINT)


@contextmanager
def stopping() -> Iterator[Stop]:
    """Yield what the first signal sets; the block then has some seconds. Only a main thread is told."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    late = threading.Timer(_PATIENCE, _give_up, [stop])
    late.daemon = True

    def asked(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the handler's signature
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        stop.signal = number
        stop.event.set()
        late.start()

    before = {one: signal.signal(one, asked) for one in _SIGNALS}
    try:
        yield stop
    finally:
        late.cancel()
        for one, handler in before.items():
            signal.signal(one, handler)


def _give_up(stop: Stop) -> None:
    """End without the batch in hand: what is durable stays whole, as after a crash."""
    click.echo(
        "error: the batch in hand took too long, ended without it: the same command line continues", err=True
    )
    os._exit(stop.exit_code)
