"""What a service makes sure of before it begins: its source, the network, the ports."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Final

from stellarrow.config.settings import Settings
from stellarrow.errors import ConfigError, Unavailable
from stellarrow.ledgers import Network
from stellarrow.net.address import CannotListen
from stellarrow.net.resilience import Policy
from stellarrow.protocols import Guarded, Measured, Source

NAME_IT: Final = "give --network, such as pubnet, or NETWORK_PASSPHRASE"
_BRIEF: Final = Policy(attempts=2, first_wait=0.2, longest_wait=0.5, timeout=5.0)
_log: Final = logging.getLogger("stellarrow.start")


def network_of(
    named: str | None, origin: str, open_source: Callable[[Policy], Source], *, name: str
) -> Network:
    """Return the network that is named (`origin` says where) or that the source tells; they must agree.

    A server that does not answer is waited for later, if the network is named. A path that cannot be read is
    an error now.
    """
    network = Network.of(named) if named else None
    with closing(open_source(_BRIEF)) as source:
        try:
            told = source.network()
            if isinstance(source, Measured) and not _calls_servers(source):
                source.available()
        except Unavailable as error:
            if not _calls_servers(source):
                raise
            if network is None:
                raise ConfigError(
                    f"the network is not set, and who would tell it is away ({error}): {NAME_IT}, or start"
                    " that first"
                ) from error
            _log.warning("%s; waiting for it", error)
            return network
    return agreed(network, told, origin=origin, name=name)


def agreed(network: Network | None, told: Network | None, *, origin: str, name: str) -> Network:
    """Return the network that is named and told; ConfigError where neither is, or they differ."""
    if network and told and network.passphrase != told.passphrase:
        raise ConfigError(
            f"the ledgers of {name} are of {told}, not {network}, as {origin} says: fix one of the two"
        )
    if found := network or told:
        return found
    raise ConfigError(f"the network is not set, and {name} does not tell it: {NAME_IT}")


def _calls_servers(source: Source) -> bool:
    return isinstance(source, Guarded) and bool(source.guards)


@contextmanager
def listening(settings: Settings, name: str) -> Iterator[None]:
    """Name the setting by which another address is chosen, where this one cannot be listened on."""
    try:
        yield
    except CannotListen as error:
        raise CannotListen(error.reason, f"choose another with {settings.origin(name)}") from error
