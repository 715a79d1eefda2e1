"""How many may connect, from where, for how long, and how much they may say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.errors import TooManyCalls, Unavailable
from stellarrow.security.limits import caller_of

MESSAGE_BYTES: Final = 64 << 10  # of a message of a client
SUBSCRIPTIONS: Final = 64  # of a connection
MESSAGES_PER_SECOND: Final = 20.0
MESSAGES_BURST: Final = 40
PING_SECONDS: Final = 15.0
BEHIND_BYTES: Final = 1 << 20
BEHIND_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What settings say; times are in seconds."""

    connections: int = 1_000
    per_address: int = 10
    to_begin: float = 30.0  # to authenticate and subscribe
    idle: float = 300.0  # without a subscription, and without a word

    def to_dict(self) -> dict[str, Any]:
        """Say them to a client."""
        return {
            "message_bytes": MESSAGE_BYTES,
            "subscriptions": SUBSCRIPTIONS,
            "messages_per_second": MESSAGES_PER_SECOND,
            "behind_bytes": BEHIND_BYTES,
            "behind_seconds": BEHIND_SECONDS,
            "connection_timeout": self.to_begin,
            "idle_timeout": self.idle,
        }


class Doors:
    """Counts who is connected, over all ports of the service."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0
        self._by_address: Counter[str] = Counter()

    @contextmanager
    def entered(self, address: str) -> Iterator[None]:
        """Hold a place; Unavailable or TooManyCalls where there is none."""
        caller = caller_of(address)
        if self.count >= self.limits.connections:
            raise Unavailable(
                f"{self.count} clients are connected, which is the most: try again later", retry_after=10.0
            )
        if self._by_address[caller] >= self.limits.per_address:
            raise TooManyCalls(
                f"{caller} has {self._by_address[caller]} connections, which is the most: close one", 10.0
            )
        self.count += 1
        self._by_address[caller] += 1
        try:
            yield
        finally:
            self.count -= 1
            self._by_address[caller] -= 1
            if not self._by_address[caller]:
                del self._by_address[caller]
