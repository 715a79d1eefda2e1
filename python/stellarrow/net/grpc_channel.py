"""How every gRPC client of ours connects, Arrow Flight's included: the proxy, and who we are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.net.identity import USER_AGENT
from stellarrow.net.proxies import Proxy, proxy_for

ChannelOption = tuple[str, int | str]

_HTTP: Final = ("http://", "https://")
_NOTICED_SECONDS: Final = 1.0


def proxy_of(target: str, *, secure: bool) -> Proxy | None:
    """Return the proxy for host:port; ConfigError where gRPC cannot go through it."""
    proxy = proxy_for(f"{'grpcs' if secure else 'grpc'}://{target}")
    if proxy and not proxy.url.startswith(_HTTP):
        raise ConfigError(
            f"gRPC cannot go through {proxy}: name an http:// proxy there, or put the host into NO_PROXY"
        )
    return proxy


NETWORK_KEY: Final = "stellarrow-network-bin"  # metadata: of which network a service's ledgers are


def close_watched(close: Callable[[], None]) -> None:
    """Close a channel of which nobody wants the state any more, once grpcio has noticed that.

    grpcio's own thread looks at the state five times a second, and ends with a traceback where it finds the
    channel closed.
    """
    timer = threading.Timer(_NOTICED_SECONDS, close)
    timer.daemon = True
    timer.start()


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
