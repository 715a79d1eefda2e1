"""How every gRPC client of ours connects, Arrow Flight's included: the proxy, and who we are."""

from __future__ import annotations

from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.net.identity import USER_AGENT
from stellarrow.net.proxies import Proxy, proxy_for

ChannelOption = tuple[str, int | str]

_HTTP: Final = ("http://", "https://")


def proxy_of(target: str, *, secure: bool) -> Proxy | None:
    """Return the proxy for host:port; ConfigError where gRPC cannot go through it."""
    proxy = proxy_for(f"{'grpcs' if secure else 'grpc'}://{target}")
    if proxy and not proxy.url.startswith(_HTTP):
        raise ConfigError(
            f"gRPC cannot go through {proxy}: name an http:// proxy there, or put the host into NO_PROXY"
        )
    return proxy


NETWORK_KEY: Final = "stellarrow-network-bin"  # metadata: of which network a service's ledgers are


def channel_options(target: str, *, secure: bool) -> tuple[ChannelOption, ...]:
    """Return what a channel to host:port is made with.

    Left alone, gRPC sends calls to this machine through a proxy too, and knows only some of the variables.
    """
    proxy = proxy_of(target, secure=secure)
    through: tuple[ChannelOption, ...] = (("grpc.http_proxy", proxy.url),) if proxy else ()
    return (
        ("grpc.enable_http_proxy", int(proxy is not None)),
        *through,
        ("grpc.primary_user_agent", USER_AGENT),
    )
