"""How every Arrow Flight client of ours connects, and what it makes of a server's errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.errors import ConfigError
from stellarrow.net.address import Address
from stellarrow.net.client_tls import NO_TLS, ClientTls
from stellarrow.net.connection_reasons import connection_reason
from stellarrow.net.credentials import ClientCredentials
from stellarrow.net.grpc_channel import ChannelOption, channel_options

_ADDED: Final = re.compile(r"\. (?:gRPC client debug|Detail: Python exception)")  # by Flight, after the text


# Probing for bandwidth costs a quarter of what it takes to read, and brings nothing on a loopback.
_NEAR: Final[tuple[ChannelOption, ...]] = (("grpc.http2.bdp_probe", 0),)


def connect(
    target: str, *, secure: bool, tls: ClientTls = NO_TLS, options: tuple[ChannelOption, ...] = ()
) -> flight.FlightClient:
    """Return a client of host:port; the connection is made by the first call."""
    made = (*channel_options(target, secure=secure), *(_NEAR if _is_near(target) else ()), *options)
    identity: dict[str, bytes | None] = {}
    if secure:
        ca, certificate, key = tls.pem()
        identity = {"tls_root_certs": ca, "cert_chain": certificate, "private_key": key}
    return flight.connect(
        f"grpc{'+tls' if secure else '+tcp'}://{target}",
        generic_options=list(made),
        **{name: value for name, value in identity.items() if value is not None},
    )


def _is_near(target: str) -> bool:
    try:
        return Address.parse(target).is_loopback
    except ConfigError:
        return False


def call_options(
    credentials: ClientCredentials,
    host: str,
    *,
    timeout: float | None = None,
    more: Sequence[tuple[str, str]] = (),
) -> flight.FlightCallOptions:
    """Return what a call carries, `more` headers included; `timeout` in seconds bounds all of it."""
    pairs = (*credentials.metadata_for(host), *more)
    headers = [(name.encode(), value.encode()) for name, value in pairs]
    return flight.FlightCallOptions(timeout=timeout, headers=headers)


class Trouble(Enum):
    """What a call came to nothing by."""

    LETS_NOBODY_IN = "credentials"
    REFUSES = "what was asked or sent"
    AWAY = "anything else: it may be there again later"


def trouble_of(error: Exception) -> Trouble:
    """Return what kind of error Flight raised."""
    if isinstance(error, flight.FlightUnauthenticatedError | flight.FlightUnauthorizedError):
        return Trouble.LETS_NOBODY_IN
    if isinstance(
        error, pa.ArrowInvalid | pa.ArrowKeyError | pa.ArrowNotImplementedError | NotImplementedError
    ):
        return Trouble.REFUSES
    return Trouble.AWAY


def reason_of(error: Exception) -> str:
    """Return what the server said, without what Flight adds."""
    lines = str(error).splitlines() or [type(error).__name__]
    return connection_reason(_ADDED.split(lines[0])[0])
