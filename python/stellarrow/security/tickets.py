"""Tickets: a credential for one call, where a browser cannot send a header (WebSocket, EventSource)."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import Final

from stellarrow.errors import Unauthenticated
from stellarrow.security.principal import Call, Principal

PREFIX: Final = "stkt_"
SECONDS: Final = 30.0
_HELD: Final = 10_000  # tickets at once; the oldest goes first


class Tickets:
    """Issues tickets to who is known, and takes each once; they are a process's own."""

    kind = "ticket"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def issue(self, principal: Principal) -> str:
        """Return a ticket that stands for a caller's own credential, as long as that holds."""
        ticket = PREFIX + secrets.token_urlsafe(32)
        with self._lock:
            self._held[ticket] = time.monotonic() + SECONDS, principal
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        return ticket

    def __call__(self, call: Call, /) -> Principal | None:
        """Return whose ticket it is, which is none any more; None where no ticket is shown."""
        if not call.token.startswith(PREFIX):
            return None
        with self._lock:
            found = self._held.pop(call.token, None)
        if found is None or time.monotonic() > found[0] or not found[1].is_valid():
            raise Unauthenticated("the ticket is not known, was used or has expired: ask for another")
        return found[1]

    def may_wait(self, _: Call, /) -> bool:
        return False
