"""What came of a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told: for people, for programs, for the shell."""

    told: str
    report: dict[str, Any]
    exit_code: int = 0
