"""Who is at the other end of a connection, by gRPC's name of it."""

from __future__ import annotations

from urllib.parse import unquote


def peer_address(peer: str) -> str:
    """Return the IP address in a peer's name, such as ipv4:127.0.0.1:50000; empty where it has none."""
    kind, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""
