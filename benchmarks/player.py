"""A process that makes one repetition each time it is told to, so that ours and its peers take turns."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self


class PlayerFailed(Exception):
    """A measured program ended before it should."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition: everything decoded in it, in as many passes over the corpus as it took."""

    ledgers: int
    bytes: int
    rows: int
    passes: int
    seconds: float


def one_core() -> set[int]:
    """Return the last core this process may use: the first ones serve most interrupts."""
    return {max(cores())}


def cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


@contextmanager
def pinned(to: set[int] | None) -> Iterator[None]:
    """Hold children started inside to these cores: they inherit the affinity, and so does every thread of theirs."""
    if to is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Player:
    """A started program; leaving the context ends it."""

    def __init__(self, argv: tuple[str, ...], *, cores: set[int] | None) -> None:
        self._errors: IO[str] = tempfile.TemporaryFile("w+")
        with pinned(cores):
            self._process = subprocess.Popen(
                [*argv, "--step"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
            )

    def step(self) -> Sample:
        """Make one repetition."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PlayerFailed(self._last_words()) from None
        line = self._process.stdout.readline()
        if not line:
            raise PlayerFailed(self._last_words())
        return Sample(**json.loads(line))

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines()
        return said[-1] if said else f"it ended with status {status} and said nothing"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it had ended already
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
