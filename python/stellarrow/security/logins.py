"""Which proofs of who calls are worth a line of the audit log: the first of a caller in an hour."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Final

from stellarrow.security.limits import Buckets, Rate, caller_of
from stellarrow.security.principal import Principal

SECONDS: Final = 3_600.0
_REMEMBERED: Final = 10_000  # callers; the one that was noted longest ago is forgotten first
_LINES: Final = Rate.of(600, SECONDS)  # of one principal, which may have addresses without number


class Logins:
    """Remembers who proved by what, from which address, who they are. Any thread may call."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._noted: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._lines = Buckets(_LINES)

    def is_first(self, principal: Principal, address: str) -> bool:
        """Tell whether nobody has noted this for an hour; then it counts as noted now."""
        caller = principal.kind, principal.name, caller_of(address)
        now = time.monotonic()
        with self._lock:
            noted = self._noted.get(caller)
            if noted is not None and now - noted < self._seconds:
                return False
            if self._lines.take(f"{principal.kind}:{principal.name}"):
                return False
            self._noted[caller] = now
            self._noted.move_to_end(caller)
            if len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)
            return True
