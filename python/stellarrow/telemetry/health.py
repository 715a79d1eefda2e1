"""What a service says of its health: checks, components."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

OUTAGE_SECONDS: Final = 10.0  # from then on what is away keeps a service from being ready


@dataclass(frozen=True, slots=True)
class Check:
    """How a part of a service is; a service whose inessential part is not well is degraded, not unhealthy."""

    name: str
    healthy: bool
    message: str = ""
    metrics: Mapping[str, float | int | str | None] = field(default_factory=dict)
    essential: bool = True
    last_check: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "healthy": self.healthy,
            "last_check": self.last_check.isoformat(),
            "message": self.message,
            "metrics": dict(self.metrics),
        }


class Component(Protocol):
    """A part of a service that knows how it is."""

    def check(self) -> Check:
        """Say how it is, at once: from what is known, not by asking elsewhere. Any thread may call it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A component that asks its owner."""

    check: Callable[[], Check]


class Outage:
    """Whether something has been away for too long, for one who looks every now and then."""

    def __init__(self, patience: float = OUTAGE_SECONDS) -> None:
        self._patience = patience
        self._since: float | None = None

    def lasts(self, is_away: bool) -> bool:
        """Note how it is, and tell whether it has been away for longer than the patience."""
        if not is_away:
            self._since = None
            return False
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        return now - self._since >= self._patience
