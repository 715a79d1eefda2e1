"""Tickets: a credential to read with once, where a browser cannot send a header (WebSocket, EventSource).

Who sees one on its way gets no more than that one answer: it changes nothing, and gives no other ticket.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from stellarrow.errors import Unauthenticated
from stellarrow.security.permissions import Permission
from stellarrow.security.principal import Call, Principal

PREFIX: Final = "stkt_"
SECONDS: Final = 30.0
READING: Final = frozenset((Permission.READ_LEDGERS, Permission.READ_METRICS))
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
        if not self.is_shown_by(call):
            return None
        with self._lock:
            found = self._held.pop(call.token, None)
        if found is None or time.monotonic() > found[0] or not found[1].is_valid():
            raise Unauthenticated("the ticket is not known, was used or has expired: ask for another")
        return replace(found[1], permissions=found[1].permissions & READING)

    @staticmethod
    def is_shown_by(call: Call) -> bool:
        """Tell whether it is a ticket that a call shows."""
        return call.token.startswith(PREFIX)

    def may_wait(self, _: Call, /) -> bool:
        return False
