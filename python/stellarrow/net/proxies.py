"""Which proxy a request goes through, as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say.

Names in small letters win, as with curl. This machine itself is never reached through a proxy.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from stellarrow.errors import ConfigError
from stellarrow.net.redaction import redacted_url

_PORTS: Final = {"http": 80, "https": 443}
_SECURE: Final = frozenset(("https", "grpcs", "s3", "gs", "az"))
_KINDS: Final = ("http", "https", "socks5", "socks5h", "socks4", "socks4a")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the variable of the environment that names it."""

    url: str
    variable: str

    @property
    def login(self) -> str | None:
        """USER:PASSWORD as the proxy wants them."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return None
        return f"{unquote(parts.username)}:{unquote(parts.password or '')}"

    def __str__(self) -> str:
        return f"the proxy {redacted_url(self.url)} that {self.variable} names"


def proxy_for(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Return the proxy for what a URL names; None where it is reached directly."""
    environ = os.environ if environ is None else environ
    scheme, host, port = _target(url)
    if is_loopback(host) or _is_excluded(host, port, _value(environ, "no_proxy")[1]):
        return None
    kind = "https" if scheme in _SECURE else "http"
    for name in (f"{kind}_proxy", "all_proxy"):
        variable, value = _value(environ, name)
        if value:
            return Proxy(_whole(value, variable), variable)
    return None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified


def host_of(url: str) -> str:
    """Return the host that a URL, or host:port, names."""
    return _target(url)[1]


def _target(url: str) -> tuple[str, str, int | None]:
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    authority = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    host, colon, port = authority.rpartition(":")
    if not colon or "]" in port or not port.isdecimal():
        host, port = authority, ""
    scheme = scheme.lower()
    return scheme, host.strip("[]").lower(), int(port) if port else _PORTS.get(scheme)


def _value(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    for variable in (name, name.upper()):
        if value := environ.get(variable, "").strip():
            return variable, value
    return name, ""


def _whole(value: str, variable: str) -> str:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in _KINDS and bool(parts.hostname)
        usable = usable and parts.port != 0  # reading the port checks it
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"{variable} is {redacted_url(url)!r}, which is no proxy: write http://host:port or socks5://host:port"
        )
    return url


def _is_excluded(host: str, port: int | None, listed: str) -> bool:
    return any(_matches(host, port, one) for one in listed.replace(",", " ").split())


def _matches(host: str, port: int | None, rule: str) -> bool:
    """Tell whether a word of NO_PROXY covers a host: *, a name and all below it, an address, a network."""
    rule = rule.lower()
    if rule == "*":
        return True
    if "/" in rule:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdecimal() and (name.count(":") == 0 or name.startswith("[")):
        if int(wanted) != port:
            return False
        rule = name
    rule = rule.strip("[]").removeprefix("*").removeprefix(".").rstrip(".")
    return bool(rule) and (host == rule or host.endswith(f".{rule}"))
