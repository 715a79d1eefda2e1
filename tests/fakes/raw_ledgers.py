"""A real gRPC server on loopback that streams raw ledgers, well or badly."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

try:
    import grpc

    from stellarrow.proto.raw_ledger_service_pb2 import RawLedger, StreamLedgersRequest
except ImportError as error:
    _MISSING = f"{error.name} is not here: make builds it"
else:
    _MISSING = ""


class RawLedgers:
    """Ledgers of a service, which a test may add to, and what it does wrong.

    Each stream takes the next of `faults`, a list of what happens at which ledger: `{105: "twice"}`. A fault
    is `twice`, `skip`, `break`, `end`, `hang`, `corrupt`, or a grpc.StatusCode.
    """

    def __init__(self, ledgers: Sequence[bytes], *, first: int = 100) -> None:
        self.first = first
        self.ledgers = list(ledgers)
        self.faults: list[dict[int, Any]] = []
        self.asked: list[int] = []
        self._changed = threading.Condition()

    def add(self, ledger: bytes) -> None:
        with self._changed:
            self.ledgers.append(ledger)
            self._changed.notify_all()

    def stream(self, request: StreamLedgersRequest, context: grpc.ServicerContext) -> Iterator[RawLedger]:
        self.asked.append(request.start_ledger)
        faults = self.faults.pop(0) if self.faults else {}
        number = request.start_ledger
        context.add_callback(self._wake)
        while context.is_active():
            with self._changed:
                if number >= self.first + len(self.ledgers):
                    self._changed.wait(5)
                    continue
            message = RawLedger(sequence=number, ledger_close_meta_xdr=self.ledgers[number - self.first])
            fault = faults.get(number)
            if isinstance(fault, grpc.StatusCode):
                context.abort(fault, "as the test wants")
            elif fault == "break":
                context.abort(grpc.StatusCode.UNAVAILABLE, "connection lost")
            elif fault == "end":
                return
            elif fault == "hang":
                with self._changed:
                    self._changed.wait_for(lambda: not context.is_active(), 30)
                return
            elif fault == "back":
                yield RawLedger(
                    sequence=number - 1, ledger_close_meta_xdr=self.ledgers[number - 1 - self.first]
                )
            elif fault == "twice":
                yield message
            if fault != "skip":
                yield message
            number += 1

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


@contextmanager
def serving(service: RawLedgers, *, port: int = 0) -> Iterator[int]:
    """Serve it on a port of loopback."""
    if _MISSING:
        pytest.skip(_MISSING)
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_stream_rpc_method_handler(
        service.stream,
        request_deserializer=StreamLedgersRequest.FromString,
        response_serializer=RawLedger.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "raw_ledger_service.RawLedgerService", {"StreamRawLedgers": handler}
            ),
        )
    )
    taken = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield taken
    finally:
        server.stop(0).wait()
