"""deploy/compose.yaml as an engine reads it: variables filled in, each service's command and environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "deploy" / "compose.yaml"
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def environment_of(file: Path) -> dict[str, str]:
    """Return what an environment file sets."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def filled(text: str, given: Mapping[str, str]) -> str:
    """Fill variables in, as the compose specification has it: :- is a default, :? an error."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if given.get(name):
            return given[name]
        if kind == "?":
            raise KeyError(f"{name}: {rest}")
        return rest or ""

    return _VARIABLE.sub(value, text)


def read(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the file with its variables filled in, after it was parsed, as an engine does it."""

    def below(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: below(one) for key, one in value.items()}
        if isinstance(value, list):
            return [below(one) for one in value]
        return filled(value, given) if isinstance(value, str) else value

    made: dict[str, Any] = below(yaml.safe_load(FILE.read_text()))
    return made


@dataclass(frozen=True)
class Service:
    """One of our services: what it runs, and with which environment."""

    name: str
    command: list[str]
    environment: dict[str, str]
    profiles: list[str]

    @property
    def section(self) -> str:
        """Return what its settings are called, such as consumer."""
        return {"sink": "consumer"}.get(self.command[0], self.command[0])


def services(given: Mapping[str, str]) -> dict[str, Service]:
    """Return the services that run our image."""
    return {
        name: Service(name, one["command"], one.get("environment", {}), one["profiles"])
        for name, one in read(given)["services"].items()
        if "stellarrow" in one["image"]
    }
