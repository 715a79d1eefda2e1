"""A table out of a processor, over Arrow Flight: whole ledgers, each batch with where to go on."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.core.tables import table
from stellarrow.errors import NetworkMismatch, SourceError, SourceUnavailable, StellarrowError
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.net.address import Address
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.flight_client import Trouble, call_options, connect, reason_of, trouble_of
from stellarrow.telemetry import tracing

EARLIEST: Final = "earliest"

_CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """The rows of ledgers first to last; `resume` goes on after them, also when the server has restarted.

    Not `complete`, rows of the last ledger are still to come. `session` and `network`, a passphrase, are
    empty where the server does not tell them; `traces` are of the chunks in it that are recorded.
    """

    first: int
    last: int
    rows: pa.RecordBatch = field(repr=False)
    resume: str
    complete: bool
    session: str = ""
    network: str = ""
    traces: tuple[str, ...] = field(default=(), repr=False)


class ResumeRefused(SourceError):
    """The server knows no such place to go on from."""


class FlightTable:
    """One table of a processor: what its sessions put out, from any place, or a range of ledgers.

    Rows of another network than `network` are refused, where the processor tells whose they are.
    """

    def __init__(
        self,
        endpoint: Address,
        name: str,
        *,
        network: Network | None = None,
        credentials: ClientCredentials = NO_CREDENTIALS,
        secure: bool | None = None,
    ) -> None:
        self.name = f"the processor's Flight at {endpoint}"
        meant = table(name)
        self._asked = {"table": meant.name, "version": meant.version}
        self._endpoint = endpoint
        self._credentials = credentials
        self._secure = credentials.tls.is_set if secure is None else secure
        self._network = network
        self._reader: flight.FlightStreamReader | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.answered: Callable[[], None] = lambda: None  # called when the server has answered

    def read(self, since: str, ledgers: LedgerRange | None = None) -> Iterator[Arrival]:
        """Yield what comes after a place, until the server has no more to send or close() is called."""
        asked: dict[str, Any] = {**self._asked, "from": since}
        if ledgers:
            asked |= {"start_ledger": ledgers.first, "end_ledger": ledgers.last or 0}
        asked["follow"] = not (ledgers and ledgers.last)
        host = self._endpoint.host
        call = tracing.Call("DoGet", table=self._asked["table"])
        with self._translate_errors(since), call, self._connected() as client:
            options = call_options(self._credentials, host, timeout=_CONNECT_SECONDS, more=call.headers)
            descriptor = flight.FlightDescriptor.for_command(json.dumps(asked).encode())
            answer = client.get_flight_info(descriptor, options)
            self.answered()
            for endpoint in answer.endpoints:
                options = call_options(self._credentials, host, more=call.headers)
                reader = client.do_get(endpoint.ticket, options)
                with self._lock:
                    self._reader = None if self._closed else reader
                if self._closed:
                    return
                arrivals = (self._arrival(chunk) for chunk in reader if chunk.data is not None)
                # One of no ledger tells that some left, where there is nothing behind them.
                yield from (one for one in arrivals if one.last or one.rows.num_rows)

    def _arrival(self, chunk: flight.FlightStreamChunk) -> Arrival:
        arrival = _read(chunk)
        if self._network and arrival.network and arrival.network != self._network.passphrase:
            raise NetworkMismatch(
                f"{self.name} sends rows of {Network.from_passphrase(arrival.network)}, not of"
                f" {self._network}: fix NETWORK_PASSPHRASE (--network), or name another processor"
            )
        return arrival

    def network(self) -> Network | None:
        """Return of which network the processor's tables are; None of one that does not tell."""
        options = call_options(self._credentials, self._endpoint.host, timeout=_CONNECT_SECONDS)
        descriptor = flight.FlightDescriptor.for_command(json.dumps(self._asked).encode())
        with self._translate_errors(EARLIEST), self._connected() as client:
            answer = client.get_flight_info(descriptor, options).app_metadata
        try:
            return Network.from_passphrase(json.loads(answer)["network"])
        except (KeyError, TypeError, ValueError):
            return None

    def _connected(self) -> flight.FlightClient:
        return connect(str(self._endpoint), secure=self._secure, tls=self._credentials.tls)

    def close(self) -> None:
        """End the read that is under way, in any thread."""
        with self._lock:
            self._closed = True
            if self._reader is not None:
                self._reader.cancel()

    @contextmanager
    def _translate_errors(self, since: str) -> Iterator[None]:
        try:
            yield
        except (flight.FlightError, pa.ArrowException) as error:
            if self._closed:
                return
            raise self._translated(error, since) from error

    def _translated(self, error: Exception, since: str) -> StellarrowError:
        reason = reason_of(error)
        if isinstance(error, pa.ArrowInvalid | pa.ArrowKeyError) and since != EARLIEST:
            return ResumeRefused(f"{self.name} does not know the position to resume from ({reason})")
        match trouble_of(error):
            case Trouble.LETS_NOBODY_IN:
                return SourceError(
                    f"{self.name} lets us in no further ({reason}): give the right credentials"
                )
            case Trouble.REFUSES:
                return SourceError(f"{self.name} refuses {'@'.join(self._asked.values())}: {reason}")
            case Trouble.AWAY:
                return SourceUnavailable(
                    f"{self.name} does not answer ({reason}): start it or check the address"
                )


def _read(chunk: flight.FlightStreamChunk) -> Arrival:
    """Return what came."""
    try:
        answer = json.loads(chunk.app_metadata.to_pybytes())
        first, last = int(answer["first_ledger"]), int(answer["last_ledger"])
        complete = bool(answer.get("complete", True))
        told = {name: str(answer.get(name, "")) for name in ("session", "network")}
        traces = tracing.of_message(answer.get(tracing.MESSAGES)) or {}
        resume = str(answer["resume"])
        return Arrival(first, last, chunk.data, resume, complete, **told, traces=tuple(traces.values()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceError(
            "a batch says not which ledgers it has (app_metadata with first_ledger, last_ledger and resume):"
            " use a processor that tells it"
        ) from error
