"""How many calls a caller may make: token buckets by name, of a bounded number."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from stellarrow.net.resilience import TokenBucket

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_CALLERS: Final = 10_000  # remembered; who is forgotten begins with a full bucket


@dataclass(frozen=True, slots=True)
class Rate:
    """So many calls a second on average, and as many at once as come in `burst`."""

    per_second: float
    burst: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read a rate as settings write it, such as 600/m."""
        count, _, unit = text.partition("/")
        return cls.of(int(count), _UNITS[unit])

    @classmethod
    def of(cls, count: float, seconds: float) -> Rate:
        """Read `count` in so many seconds; all of them may come at once."""
        return cls(count / seconds, max(1, round(count)))


class Buckets:
    """A bucket a caller."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._held: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, caller: str) -> float:
        """Take a token and return 0; where there is none, return in how many seconds there will be one."""
        bucket = self._bucket(caller)
        return 0.0 if bucket.take(0.0) is not None else max(0.001, bucket.wait())

    def _bucket(self, caller: str) -> TokenBucket:
        with self._lock:
            bucket = self._held.get(caller)
            if bucket is None:
                bucket = self._held[caller] = TokenBucket(self.rate.per_second, self.rate.burst)
                if len(self._held) > _CALLERS:
                    self._held.popitem(last=False)
            else:
                self._held.move_to_end(caller)
            return bucket


def caller_of(address: str) -> str:
    """Return by what an address is counted: of IPv6 the network of 64 bits that one subscriber has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return address
