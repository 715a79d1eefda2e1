"""Where a server listens, or whom a client calls."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import ConfigError

LOOPBACK: Final = "127.0.0.1"

_WRITTEN: Final = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]*):)?(?P<port>\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; to a listener port 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `host:port`, `:port` or `port`; the host is this machine unless named."""
        match = _WRITTEN.fullmatch(text.strip())
        if not match or int(match["port"]) > 65_535:
            raise ConfigError(f"{text!r} is no address: write host:port or :port, a port from 0 to 65535")
        return cls((match["host"] or LOOPBACK).strip("[]"), int(match["port"]))

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class CannotListen(ConfigError):
    """An address that is taken or is not ours; `remedy` says how another one is chosen."""

    def __init__(self, reason: str, remedy: str = "choose another address") -> None:
        super().__init__(f"{reason}: {remedy}, or stop what is there")
        self.reason = reason
