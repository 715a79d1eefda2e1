"""Ledgers from a raw-ledger service over Arrow Flight: a ledger a row, taken up again wherever it broke."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
from pyarrow import flight

from stellarrow.errors import ConfigError, LedgerMissing, SourceError, SourceUnavailable, Stopped
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.flight_client import call_options, connect, reason_of
from stellarrow.net.proxies import host_of
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Guard, Policy
from stellarrow.registry import SourceOptions
from stellarrow.sources.ledger_stream import StreamedLedger, StreamReader
from stellarrow.telemetry import tracing
from stellarrow.telemetry.metrics import Metrics

TABLE: Final = "raw_ledgers"
_SEQUENCE, _XDR = "ledger_sequence", "ledger_close_meta_xdr"
_AHEAD: Final = 2  # batches that are fetched before they are wanted; a batch is at most a few MB, or a ledger
_WAKE_SECONDS: Final = 0.1  # after which one who waits sees whether it is to stop
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Or a new channel would inherit how long the last one wanted to wait.
    ("grpc.use_local_subchannel_pool", 1),
)


class FlightSource:
    """Read ledgers from `flight://host:port`, or `flights://` with TLS: the Flight port of `source serve`.

    A range beyond the latest ledger waits for the chain; a stream that is silent for the policy's `timeout`
    is taken for dead and opened anew.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: ClientCredentials = NO_CREDENTIALS,
        policy: Policy | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = redacted_url(url)
        scheme, _, self._target = url.partition("://")
        if scheme not in ("flight", "flights") or not re.fullmatch(r"[^/?#@]+:\d{1,5}", self._target):
            raise ConfigError(
                f"{self.name!r} is no address of a raw-ledger service: write flight://host:8815"
            )
        self._secure = scheme == "flights"
        self._credentials = credentials
        self._host = host_of(url)
        self._reader = StreamReader(self.name, self._begin, operation="DoGet", policy=policy, metrics=metrics)

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> FlightSource:
        """Open a service, as the registry does."""
        return cls(url, credentials=options.access.source, policy=options.policy, metrics=options.metrics)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the server, for those who watch over it."""
        return (self._reader.guard,)

    def available(self) -> LedgerSet:
        """Return the ledgers the server says it has, open at their end; ConfigError where it does not say."""
        first = self._said().get("first_ledger")
        if not isinstance(first, int):
            raise ConfigError(
                f"{self.name} cannot tell which ledgers it has: name the ledgers you want"
                " (--ledgers A:B or A:)"
            )
        return LedgerSet([LedgerRange(first)])

    def network(self) -> Network | None:
        """Return the network the server says its ledgers are of."""
        passphrase = self._said().get("network")
        return Network.from_passphrase(passphrase) if isinstance(passphrase, str) and passphrase else None

    def ping(self) -> None:
        """Return once the server answers."""
        self._said()

    def read(self, ledgers: LedgerRange) -> Generator[LedgerChunk]:
        """Yield every ledger of the range, over as many streams as it takes."""
        return self._reader.read(ledgers)

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Return a chunk as the service gives it now."""
        return self._reader.refetch(chunk)

    def close(self) -> None:
        """Let reads in any thread end soon."""
        self._reader.close()

    def _said(self) -> dict[str, Any]:
        """Return what the server says of its ledgers, asked anew: they grow."""
        return self._reader.guard.call("GetFlightInfo", self._asked)

    def _asked(self) -> dict[str, Any]:
        timeout = self._reader.guard.policy.timeout
        try:
            with self._connected() as client:
                options = call_options(self._credentials, self._host, timeout=timeout)
                info = client.get_flight_info(flight.FlightDescriptor.for_path(TABLE), options)
        except (flight.FlightError, pa.ArrowException) as error:
            raise self.translated(error, due=0) from error
        with suppress(ValueError):
            said = json.loads(info.app_metadata or b"{}")
            return said if isinstance(said, dict) else {}
        return {}

    def _begin(self, wanted: LedgerRange) -> _Stream:
        return _Stream(self, wanted, timeout=self._reader.guard.policy.timeout, stop=self._reader.stop)

    def _connected(self) -> flight.FlightClient:
        return connect(self._target, secure=self._secure, tls=self._credentials.tls, options=_OPTIONS)

    def batches(self, wanted: LedgerRange, begun: Any) -> Iterator[flight.FlightStreamChunk]:
        """Yield what one call gives; `begun` is handed each reader, so that others can cancel it."""
        command = {"table": TABLE, "start_ledger": wanted.first}
        command |= {"end_ledger": wanted.last} if wanted.last else {"follow": True}
        descriptor = flight.FlightDescriptor.for_command(json.dumps(command).encode())
        timeout = self._reader.guard.policy.timeout
        with self._connected() as client:
            call = tracing.Call("DoGet", table=TABLE, first_ledger=wanted.first)
            with call:
                options = call_options(self._credentials, self._host, timeout=timeout, more=call.headers)
                info = client.get_flight_info(descriptor, options)
                for endpoint in info.endpoints:
                    options = call_options(self._credentials, self._host, more=call.headers)
                    reader = client.do_get(endpoint.ticket, options)
                    if not begun(reader):
                        return
                    self._check(reader.schema)
                    yield from (chunk for chunk in reader if chunk.data is not None)

    def _check(self, schema: pa.Schema) -> None:
        if not {_SEQUENCE, _XDR} <= set(schema.names):
            raise SourceError(
                f"{self.name} gives no raw ledgers, but {', '.join(schema.names[:6]) or 'nothing'}: name the"
                " Flight port of a raw-ledger service, 8815 unless told otherwise"
            )

    def translated(self, error: Exception, *, due: int) -> SourceError:
        """Return what an error of Flight means for one who wants a ledger."""
        reason = reason_of(error)
        if isinstance(error, flight.FlightUnauthenticatedError | flight.FlightUnauthorizedError):
            return SourceError(
                f"{self.name}: {reason}: give a key or token with --source-token or --source-headers"
            )
        if isinstance(error, pa.ArrowKeyError):
            return LedgerMissing(f"{self.name} does not give ledger {due}: {reason}")
        if isinstance(error, pa.ArrowNotImplementedError):
            return SourceError(f"{self.name} is no raw-ledger service: check host and port")
        if isinstance(error, pa.ArrowInvalid):
            return SourceError(f"{self.name}: {reason}")
        return SourceUnavailable(f"{self.name}: {reason}")


class _Stream:
    """One call. A thread takes batches off it, as a call of Flight cannot be waited for with a limit."""

    def __init__(
        self, source: FlightSource, wanted: LedgerRange, *, timeout: float, stop: threading.Event
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._timeout = timeout
        self._stop = stop
        self._ledgers: deque[StreamedLedger] = deque()
        self._came: queue.Queue[flight.FlightStreamChunk | Exception] = queue.Queue(_AHEAD)
        self._lock = threading.Lock()
        self._reader: flight.FlightStreamReader | None = None
        self._closed = False
        threading.Thread(target=self._pump, name="stellarrow-flight-source", daemon=True).start()

    def next(self) -> StreamedLedger:
        while not self._ledgers:
            self._ledgers.extend(self._opened(self._waited()))
        return self._ledgers.popleft()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._reader is not None:
                self._reader.cancel()

    def _waited(self) -> flight.FlightStreamChunk:
        until = time.monotonic() + self._timeout
        while True:
            with suppress(queue.Empty):
                came = self._came.get(timeout=_WAKE_SECONDS)
                if isinstance(came, Exception):
                    raise came
                return came
            if self._stop.is_set():
                raise Stopped(f"{self._source.name} was asked to stop")
            if time.monotonic() > until:
                raise SourceUnavailable(f"{self._source.name} sent nothing for {self._timeout:g} s")

    def _opened(self, chunk: flight.FlightStreamChunk) -> Iterator[StreamedLedger]:
        traces = _traces_of(chunk)
        others = "" if traces is None else tracing.NOT_RECORDED
        sequences, ledgers = chunk.data.column(_SEQUENCE), chunk.data.column(_XDR)
        are_bytes = pa.types.is_integer(sequences.type) and ledgers.type.equals(pa.binary())
        if not are_bytes or sequences.null_count or ledgers.null_count:
            raise SourceError(f"{self._source.name} sends rows that are no ledgers: name another service")
        for sequence, xdr in zip(sequences.to_pylist(), _values(ledgers), strict=True):
            yield StreamedLedger(sequence, xdr, (traces or {}).get(sequence, others))

    def _pump(self) -> None:
        end: Exception = SourceUnavailable(f"{self._source.name} ended the stream")
        try:
            for batch in self._source.batches(self._wanted, self._begun):
                if not self._put(batch):
                    return
        except (flight.FlightError, pa.ArrowException) as error:
            end = self._source.translated(error, due=self._wanted.first)
        except Exception as error:
            end = error
        self._put(end)

    def _begun(self, reader: flight.FlightStreamReader) -> bool:
        with self._lock:
            self._reader = reader
            return not self._closed

    def _put(self, came: flight.FlightStreamChunk | Exception) -> bool:
        while not self._closed:
            with suppress(queue.Full):
                self._came.put(came, timeout=_WAKE_SECONDS)
                return True
        return False


def _values(column: pa.Array) -> Iterator[pa.Buffer]:
    """Yield the bytes of each row where they lie; Arrow's own scalars, and Python's bytes, are copies."""
    _, places, data = column.buffers()
    ends = memoryview(places).cast("i")[column.offset : column.offset + len(column) + 1]
    for begin, end in pairwise(ends):
        yield data.slice(begin, end - begin)


def _traces_of(chunk: flight.FlightStreamChunk) -> dict[int, str] | None:
    """Return the traces that a batch tells of; None where it tells nothing of traces."""
    if not tracing.is_on() or chunk.app_metadata is None:
        return None
    with suppress(ValueError):
        told = json.loads(chunk.app_metadata.to_pybytes())
        return tracing.of_message(told.get(tracing.MESSAGES)) if isinstance(told, dict) else None
    return None
