"""A process that makes one repetition each time it is told to, so that ours and its peers take turns."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

from builds import HERE


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
    """Hold the children started inside to these cores: affinity is inherited, by their threads too."""
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
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed on exit
        with pinned(cores):
            self._process = subprocess.Popen(
                [*argv, "--step"],
                cwd=HERE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )

        if self._process.stdin is None or self._process.stdout is None:
            raise PlayerFailed("it was started without pipes")
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def step(self) -> Sample:
        """Make one repetition."""
        try:
            self._stdin.write("\n")
            self._stdin.flush()
        except BrokenPipeError:
            raise PlayerFailed(self._last_words()) from None
        line = self._stdout.readline()
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(BrokenPipeError):  # it had ended already
            self._stdin.close()
        self._process.wait()
        self._stdout.close()
        self._errors.close()
