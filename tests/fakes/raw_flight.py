"""A real Arrow Flight server on loopback that streams raw ledgers, well or badly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyarrow import flight

from stellarrow.servers.tcp_keepalive import keep_asking

SCHEMA = pa.schema([("ledger_sequence", pa.uint32()), ("ledger_close_meta_xdr", pa.binary())])
REFUSALS: dict[str, type[Exception]] = {
    "break": flight.FlightUnavailableError,
    "internal": flight.FlightInternalError,
    "missing": pa.ArrowKeyError,
    "invalid": pa.ArrowInvalid,
    "unknown": pa.ArrowNotImplementedError,
    "locked": flight.FlightUnauthenticatedError,
}


class RawLedgersFlight(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Ledgers of a service, which a test may add to, and what it does wrong.

    Each stream takes the next of `faults`: what happens at which ledger, such as `{105: "twice"}`. A fault is
    `twice`, `skip`, `end`, `hang`, `back`, `null`, or one of REFUSALS.
    """

    def __init__(self, ledgers: Sequence[bytes], *, port: int = 0, schema: pa.Schema = SCHEMA) -> None:
        self.first = 100
        self.ledgers = list(ledgers)
        self.faults: list[dict[int, str]] = []
        self.asked: list[int] = []
        self.metadata: dict[str, Any] = {}
        self.headers: list[dict[str, list[str]]] = []
        self._schema = schema
        self._changed = threading.Condition()
        self._ended = False
        super().__init__(location=f"grpc://127.0.0.1:{port}", middleware={"headers": _Headers(self.headers)})
        keep_asking(self.port)

    def add(self, ledger: bytes) -> None:
        with self._changed:
            self.ledgers.append(ledger)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self.shutdown()

    def get_flight_info(
        self, _: flight.ServerCallContext, descriptor: flight.FlightDescriptor
    ) -> flight.FlightInfo:
        endpoint = flight.FlightEndpoint(descriptor.command or b"{}", [])
        metadata = json.dumps(self.metadata).encode()
        return flight.FlightInfo(SCHEMA, descriptor, [endpoint], -1, -1, app_metadata=metadata)

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.GeneratorStream:
        asked = json.loads(ticket.ticket)
        self.asked.append(asked["start_ledger"])
        faults = self.faults.pop(0) if self.faults else {}
        return flight.GeneratorStream(self._schema, self._batches(context, asked, faults))

    def _batches(
        self, context: flight.ServerCallContext, asked: dict[str, int], faults: dict[int, str]
    ) -> Iterator[pa.RecordBatch]:
        number = asked["start_ledger"]
        while number <= asked.get("end_ledger", 2**32) and not context.is_cancelled() and not self._ended:
            with self._changed:
                if number >= self.first + len(self.ledgers):
                    self._changed.wait(0.1)
                    continue
            fault = faults.get(number)
            if fault in REFUSALS:
                raise REFUSALS[fault]("as the test wants")
            if fault == "end":
                return
            if fault == "hang":
                with self._changed:
                    while not context.is_cancelled() and not self._ended:
                        self._changed.wait(0.05)
                return
            if fault == "null":
                yield pa.record_batch([[None], [None]], schema=self._schema)
            if fault in ("twice", "back"):
                yield self._batch(number - (fault == "back"))
            if fault != "skip":
                yield self._batch(number)
            number += 1

    def _batch(self, number: int) -> pa.RecordBatch:
        row = [[number], [self.ledgers[number - self.first]]]
        return pa.record_batch(row, schema=self._schema)


class _Call(flight.ServerMiddleware):  # type: ignore[misc]
    pass


class _Headers(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Keeps what calls carried."""

    def __init__(self, seen: list[dict[str, list[str]]]) -> None:
        self._seen = seen

    def start_call(self, _: flight.CallInfo, headers: dict[str, list[str]]) -> _Call:
        self._seen.append(headers)
        return _Call()


@contextmanager
def serving(ledgers: Sequence[bytes], **choices: Any) -> Iterator[RawLedgersFlight]:
    """Serve them on a port of loopback."""
    server = RawLedgersFlight(ledgers, **choices)
    try:
        yield server
    finally:
        server.stop()
