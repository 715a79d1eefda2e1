"""The lines that README and docs print: found, and run as a reader would, in order and in one folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fakes.process import free_port

ROOT: Final = Path(__file__).parents[1]
SECONDS: Final = 120.0  # for a line that ends by itself
PROGRAM: Final = '#!/bin/sh\nexec {python} -m stellarrow.cli "$@"\n'
LISTENS: Final = re.compile(r"serving ledgers|processing ledgers|consuming |^sinks ", re.MULTILINE)
_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SERVICES: Final = {
    "source": ("grpc_address", "flight_address", "health_port"),
    "processor": ("grpc_address", "flight_address", "health_port"),
    "consumer": ("metrics_port",),
}


@dataclass(frozen=True)
class Line:
    """A command line, or a piece of Python, as it is printed."""

    page: str
    text: str
    is_python: bool = False

    @property
    def serves(self) -> bool:
        return bool(re.search(r"\bserve\b|^stellarrow up$|^stellarrow watch$", self.text))


def lines_of(page: str) -> Iterator[Line]:
    """Yield every line of a page in order: continued ones whole, without comments."""
    for language, block in _FENCED.findall((ROOT / page).read_text()):
        if language == "python":
            yield Line(page, block, is_python=True)
        elif not language:
            for line in re.sub(r"\\\n\s*", "", block).splitlines():
                text = re.sub(r"\s+# .*$", "", line).rstrip()
                if text.startswith("stellarrow "):
                    yield Line(page, text)


@dataclass
class Reader:
    """Somebody with a shell in one folder. Ports are others than the usual, by a settings file alone."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)  # what a page writes for what is not here
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    before: str = ""

    def __post_init__(self) -> None:
        shim = self.folder / "bin" / "stellarrow"
        shim.parent.mkdir()
        shim.write_text(PROGRAM.format(python=sys.executable))
        shim.chmod(0o755)
        self.ports = {f"{one} {name}": free_port() for one, names in _SERVICES.items() for name in names}
        (self.folder / "stellarrow.toml").write_text("\n".join(self._settings()))

    def _settings(self) -> Iterator[str]:
        """Yield a settings file by which the services find one another on ports of this reader's own."""
        for one, names in _SERVICES.items():
            yield f"[{one}]"
            yield from (f'{name} = ":{self.ports[f"{one} {name}"]}"' for name in names)
            if one == "processor":
                yield f'source_endpoint = ":{self.ports["source grpc_address"]}"'
            if one == "consumer":
                yield f'flight_endpoint = ":{self.ports["processor flight_address"]}"'

    def run(self, line: Line) -> str:
        """Run a line as printed, to its end, or until it serves; return what it printed."""
        text = self._meant(line)
        if line.is_python:
            return self._ended([sys.executable, "-c", text])
        self.before = text
        argv = ["bash", "-c", text]
        return self._begun(argv) if line.serves else self._ended(argv)

    def stop(self) -> None:
        """Ctrl-C in every shell, the last first."""
        for process in reversed(self.running):
            with suppress(ProcessLookupError):  # it had ended
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
        self.running.clear()

    def _meant(self, line: Line) -> str:
        text = line.text
        if match := re.fullmatch(r"(stellarrow \w+) …(.*)", text):  # the same line again
            assert self.before.startswith(match[1]), line
            text = self.before + match[2]
        for written, here in self.replaced.items():
            text = text.replace(written, here)
        return text

    def _environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "COLUMNS": "120", **self.environ}

    def _ended(self, argv: list[str]) -> str:
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{argv[-1]}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _begun(self, argv: list[str]) -> str:
        log = self.folder / f"log{len(self.running)}-{time.monotonic_ns()}"
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.running.append(process)
        deadline = time.monotonic() + SECONDS
        while not (LISTENS.search(log.read_text()) or ("watch" in argv[-1] and "session" in log.read_text())):
            assert process.poll() is None, f"{argv[-1]}\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{argv[-1]}\n{log.read_text()}"
            time.sleep(0.05)
        return log.read_text()
