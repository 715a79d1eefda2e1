"""Flight clients in other languages: programs in clients/, fetched, built and asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest

from stellarrow.net.address import Address

_SOURCES: Final = Path(__file__).with_name("clients")
_JAVA_OPENS: Final = ("--add-opens=java.base/java.nio=ALL-UNNAMED", "-Darrow.memory.debug.allocator=false")


@dataclass(frozen=True, slots=True)
class Language:
    """How a client is had; `{built}` in the commands, run where its source lies, is where to put things."""

    name: str
    fetch: Sequence[str]
    build: Sequence[str]
    start: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


LANGUAGES: Final = (
    Language(
        "go",
        ("go", "mod", "download"),
        ("go", "build", "-o", "{built}/client", "."),
        ("{built}/client",),
        {"CGO_ENABLED": "0"},
    ),
    Language(
        "java",
        ("mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory={built}/lib"),
        ("javac", "-cp", "{built}/lib/*", "-d", "{built}/classes", "Client.java"),
        ("java", *_JAVA_OPENS, "-cp", "{built}/classes:{built}/lib/*", "Client"),
    ),
    Language(
        "rust",
        ("cargo", "fetch", "--locked"),
        ("cargo", "build", "--locked", "--offline", "--target-dir={built}"),
        ("{built}/debug/client",),
    ),
)


@dataclass(slots=True)
class Answer:
    """What a client printed."""

    columns: list[str]
    metadata: dict[str, str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)


class Client:
    """A client's program. It is kept beside the environment's Python: only a change is built again.

    Where the language is not installed, or its packages cannot be had, the test is skipped.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._built = Path(sys.prefix, "clients", language.name)
        self._built.mkdir(parents=True, exist_ok=True)
        for tool in (language.fetch[0], language.build[0]):
            if shutil.which(tool) is None:
                pytest.skip(f"there is no {tool} to build the {language.name} client with")
        fetched = self._done(language.fetch)
        if fetched.returncode:
            answer = (fetched.stderr or fetched.stdout).strip().splitlines() or ["no reason given"]
            pytest.skip(f"the packages of the {language.name} client cannot be had: {answer[-1]}")
        built = self._done(language.build)
        assert built.returncode == 0, built.stderr

    def __call__(
        self,
        address: Address,
        asked: str | dict[str, Any],
        *,
        compression: str = "none",
        batches: int = 0,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Ask for a path or a command, and return what came; `batches` of each endpoint, 0 is all."""
        done = self._run(address, asked, compression, batches, environ)
        assert done.returncode == 0, done.stderr
        first, *lines = map(json.loads, done.stdout.splitlines())
        answer = Answer(**first)
        for line in lines:
            answer.rows += line["rows"]
            answer.told.append(line["told"])
        return answer

    def refused(
        self,
        address: Address,
        asked: str | dict[str, Any],
        *,
        compression: str = "none",
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Return what it shows of an error."""
        done = self._run(address, asked, compression, 0, environ)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def _run(
        self,
        address: Address,
        asked: str | dict[str, Any],
        compression: str,
        batches: int,
        environ: Mapping[str, str],
    ) -> subprocess.CompletedProcess[str]:
        descriptor = asked if isinstance(asked, str) else json.dumps(asked)
        return subprocess.run(
            [*self._filled(self._language.start), str(address), descriptor, compression, str(batches)],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _done(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._filled(command),
            cwd=_SOURCES / self._language.name,
            env={**os.environ, **self._language.environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def _filled(self, command: Sequence[str]) -> list[str]:
        return [word.format(built=self._built) for word in command]
