"""RawLedgerService over gRPC: the endless stream of raw ledgers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

from stellarrow.errors import StellarrowError, TooManyCalls
from stellarrow.extras import needing
from stellarrow.ledgers import Network
from stellarrow.net.address import Address
from stellarrow.security.access import Access
from stellarrow.security.tls import Tls
from stellarrow.servers.grpc_base import RpcServer, Streaming
from stellarrow.servers.raw.relay import Relay
from stellarrow.servers.status import status_of

with needing("a gRPC server", "servers"):
    from stellarrow.proto import raw_ledger_service_pb2 as messages

SERVICE: Final = "raw_ledger_service.RawLedgerService"

_STREAMS: Final = 256  # each takes a thread
_SPARE: Final = 8  # threads for health and reflection beside the streams
_OPTIONS: Final = (
    ("grpc.max_send_message_length", 64 << 20),
    # Clients may ask now and then whether the connection lives, also while no ledger comes.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
# Of a stream of ledgers: outside of what the source has is a matter of range, and what stands in the way of
# one ledger is to be removed before asking again.
_OF_A_STREAM: Final = {
    "NOT_FOUND": "OUT_OF_RANGE",
    "INTERNAL": "FAILED_PRECONDITION",
    "INVALID_ARGUMENT": "FAILED_PRECONDITION",
}


class RawLedgerServer(RpcServer):
    """Stream raw ledgers of a relay; it is not serving, says its health, until told."""

    def __init__(
        self,
        address: Address,
        relay: Relay,
        *,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
        network: Network | None = None,
    ) -> None:
        self._relay = relay
        self._streams = threading.BoundedSemaphore(_STREAMS)
        method = Streaming(self._stream, messages.StreamLedgersRequest.FromString, _status)
        super().__init__(
            address,
            {SERVICE: {"StreamRawLedgers": method}},
            tls=tls,
            access=access,
            insecure=insecure,
            threads=_STREAMS + _SPARE,
            options=_OPTIONS,
            network=network,
        )
        self.serving(False)

    def _stream(
        self, request: messages.StreamLedgersRequest, gone: Callable[[], bool]
    ) -> Iterator[messages.RawLedger]:
        if not self._streams.acquire(blocking=False):
            raise TooManyCalls(f"{_STREAMS} streams are open: try again later")
        try:
            for ledgers in self._relay.streams(request.start_ledger, gone=gone):
                for ledger in ledgers:
                    yield messages.RawLedger(
                        sequence=ledger.sequence,
                        ledger_close_meta_xdr=bytes(ledger.xdr),
                        traceparent=ledger.trace,
                    )
        finally:
            self._streams.release()


def _status(error: StellarrowError) -> str:
    code = status_of(error).grpc
    return _OF_A_STREAM.get(code, code)
