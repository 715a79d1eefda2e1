"""`stellarrow processor serve` in a process of its own, to be stopped and killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from fakes.process import free_port
from stellarrow.net.address import Address

_SECONDS = 120.0  # to start and to end, on a machine however loaded


class Serving:
    """The service on one state folder; it may be started again after it ended."""

    def __init__(self, lake: Path | str, state: Path, *flags: str) -> None:
        self.state = state
        self.log = state.with_name("log" if state.name == "state" else f"{state.name}.log")
        self.addresses = {
            name: Address("127.0.0.1", free_port())
            for name in ("grpc-address", "flight-address", "health-port")
        }
        self.argv = [sys.executable, "-m", "stellarrow.cli", "processor", "serve", "--source", str(lake)]
        self.argv += ["--state-dir", str(state), "--log-format=console", *flags]
        self.argv += [f"--{name}={address}" for name, address in self.addresses.items()]
        self.start()

    @property
    def flight(self) -> Address:
        return self.addresses["flight-address"]

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        begun = self.log.read_text().count("processing ledgers from")
        deadline = time.monotonic() + _SECONDS
        while wait and self.log.read_text().count("processing ledgers from") == begun:
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> tuple[int, float]:
        """Ask it to end; return its exit code and how many seconds it took."""
        began = time.monotonic()
        self._process.terminate()
        return self._process.wait(_SECONDS), time.monotonic() - began

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()
