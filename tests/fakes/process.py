"""A server's program in a process of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0


def program(name: str, *, remedy: str = "make servers builds it") -> Path:
    """Return where a server's program is; the test is skipped where it is not.

    They lie beside the environment's Python; STELLARROW_SERVERS names another folder.
    """
    folder = Path(os.environ.get("STELLARROW_SERVERS") or Path(sys.prefix, "servers", "bin"))
    beside = Path(sys.executable).parent  # where packages put programs
    found = shutil.which(name, path=folder) or shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is neither in {folder} nor on the PATH: {remedy}")
    return Path(found)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A program that listens on a port of 127.0.0.1; made, it listens already."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        port: int,
        log: Path,
        env: Mapping[str, str] | None = None,
        patience: float = _START_SECONDS,
    ) -> None:
        self.port = port
        self._patience = patience
        self._argv = [str(word) for word in argv]
        self._log = log
        self._env = {**os.environ, **(env or {})}
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        """Start it, again after a stop, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env
            )
        deadline = time.monotonic() + self._patience
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                answer = self._log.read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"{self._argv[0]} does not listen on port {self.port}: {answer}")
            time.sleep(0.01)

    def has_ended(self) -> bool:
        """Tell whether it runs no more."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it without a word, as a crash does."""
        self._process.kill()
        self._process.wait()

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False
