"""Where a call comes from, where a proxy of ours stands between."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace

from stellarrow.security.principal import Call


class TrustedProxies:
    """Addresses whose X-Forwarded-For is believed; what others write there is not even read."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = tuple(map(ipaddress.ip_network, networks))

    def located(self, call: Call) -> Call:
        """Return the call from where it came before our proxies: the last address that is none of them."""
        if not self._networks or not self._is_ours(call.address):
            return call
        address = call.address
        for named in reversed(call.headers.get("x-forwarded-for", "").split(",")):
            if not _is_address(named.strip()):
                break
            address = named.strip()
            if not self._is_ours(address):
                break
        return replace(call, address=address)

    def _is_ours(self, address: str) -> bool:
        if not _is_address(address):
            return False
        found = ipaddress.ip_address(address)
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any((mapped or found) in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
