"""Figures over time windows, asked of a processor over Flight."""

from __future__ import annotations

import json
from typing import Final, NoReturn

import pyarrow as pa
from pyarrow import flight

from stellarrow.analysis.request import FiguresRequest
from stellarrow.errors import ConfigError, SourceError, SourceUnavailable
from stellarrow.ledgers import Network
from stellarrow.net.address import Address
from stellarrow.net.client_tls import NO_TLS
from stellarrow.net.credentials import ClientCredentials
from stellarrow.net.flight_client import Trouble, call_options, connect, reason_of, trouble_of

_TIMEOUT: Final = 60.0  # seconds


def ask(url: str, request: FiguresRequest, token: str | None, network: str | Network | None) -> pa.Table:
    """Return the figures that a processor keeps; a ConfigError says that it is of another network."""
    scheme, _, place = url.partition("://")
    address = Address.parse(place)
    options = call_options(ClientCredentials.of((), token, NO_TLS), address.host, timeout=_TIMEOUT)
    where = f"the processor's Flight at {address}"
    try:
        with connect(str(address), secure=scheme == "flights") as client:
            descriptor = flight.FlightDescriptor.for_command(request.ticket())
            info = client.get_flight_info(descriptor, options)
            table: pa.Table = client.do_get(info.endpoints[0].ticket, options).read_all()
    except (flight.FlightError, pa.ArrowException, NotImplementedError) as error:
        _fail(error, where, request)
    told = json.loads(info.app_metadata or b"{}").get("network")
    if network is not None and told and Network.of(network).passphrase != told:
        raise ConfigError(f"{where} is of {Network.from_passphrase(told)}, not {Network.of(network)}")
    return table


def _fail(error: Exception, where: str, request: FiguresRequest) -> NoReturn:
    reason = reason_of(error)
    match trouble_of(error):
        case Trouble.LETS_NOBODY_IN:
            raise SourceError(f"{where} lets us in no further ({reason}): give token") from error
        case Trouble.REFUSES:
            raise SourceError(f"{where} refuses analytics/{request.name}: {reason}") from error
        case Trouble.AWAY:
            raise SourceUnavailable(f"{where} does not answer ({reason}): start it or check it") from error
