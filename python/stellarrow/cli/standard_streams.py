"""The three streams a process is given: there, and able to say every character."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from stellarrow.errors import SinkError

_NAMES: Final = ("stdin", "stdout", "stderr")


def prepare() -> None:
    """Open /dev/null for what was closed, as by `>&-`; escape what an encoding cannot say.

    Where nothing is open as number 1, the next file is, and gets what libraries print.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def exact() -> Iterator[None]:
    """Refuse what the output's encoding cannot say, instead of escaping it: what is written is data."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="strict")
    try:
        yield
    except UnicodeEncodeError as error:
        lacking = f"{sys.stdout.encoding}, has no {error.object[error.start]!a}"
        raise SinkError(
            f"the output's encoding, {lacking}: set PYTHONIOENCODING=utf-8, or write a file with --out"
        ) from error
