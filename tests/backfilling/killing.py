"""Processes that are killed while a backfill goes on: one whenever it has come further, so that it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_SECONDS = 1_500.0

Victims = Callable[[bytes], bool]


def below(parent: int) -> Iterator[tuple[int, bytes]]:
    """Yield the processes that a process began, and those that they began, with their command lines."""
    family = {parent}
    for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        with suppress(OSError):  # it has just ended
            pid, rest = int(path.parent.name), path.read_text().rpartition(")")[2].split()
            if int(rest[1]) in family and rest[0] != "Z":
                family.add(pid)
                yield pid, path.with_name("cmdline").read_bytes()


@dataclass(slots=True)
class Driver:
    """A driver's command line, the folder it writes to, and what was killed so far."""

    argv: Sequence[str | Path]
    env: Mapping[str, str]
    place: Path
    log: Path
    dice: random.Random
    killed: list[bytes] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)

    def start(self) -> subprocess.Popen[str]:
        """Start it; what it prints is its report."""
        with self.log.open("a") as log:
            return subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=log, text=True, env=self.env)

    def files(self) -> int:
        """Count the files that are durable."""
        return len(list(self.place.glob("ledgers/0*.parquet")))

    def run(self, is_victim: Victims, *, kills: int) -> str:
        """Run it to its end, killing a worker whenever a file came; return its report."""
        driver, seen = self.start(), 0
        deadline = time.monotonic() + DEADLINE_SECONDS
        while driver.poll() is None:
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3_000:]
            time.sleep(0.05)
            if self.files() > seen and len(self.killed) < kills:
                time.sleep(self.dice.uniform(0.0, 0.2))
                victims = [(pid, line) for pid, line in below(driver.pid) if is_victim(line)]
                seen = self.files() if victims else seen
                for pid, line in self.dice.sample(victims, min(len(victims), self.dice.randint(1, 2))):
                    with suppress(ProcessLookupError):  # it ended by itself just now
                        os.kill(pid, signal.SIGKILL)
                        self.killed.append(line)
        assert driver.stdout
        with driver.stdout as answer:
            report = answer.read()
        assert driver.returncode == 0, self.log.read_text(errors="replace")[-3_000:]
        return report

    def lose(self, *, files: int) -> None:
        """Start it, kill it once there are so many files, and see that what it began has ended."""
        driver, deadline = self.start(), time.monotonic() + DEADLINE_SECONDS
        while self.files() < files and driver.poll() is None:
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3_000:]
            time.sleep(0.05)
        assert driver.poll() is None, self.log.read_text(errors="replace")[-3_000:]
        family = [pid for pid, _ in below(driver.pid)]
        driver.kill()
        driver.wait()
        assert driver.stdout
        driver.stdout.close()
        self.killed.append(b"driver")
        time.sleep(self.dice.uniform(0.0, 2.0))  # what was left behind may go on meanwhile
        self.orphans += family

    def end_orphans(self) -> None:
        """End what drivers that were killed left behind; most of it ends by itself."""
        for pid in self.orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
