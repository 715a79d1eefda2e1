"""RawLedgerService over gRPC, with health and reflection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from stellarrow.address import Address
from stellarrow.errors import ConfigError, LedgerMissing, SourceUnavailable, StellarrowError
from stellarrow.servers.listening import Authenticator, Tls, guarded
from stellarrow.servers.raw.checking import LedgerUnsound
from stellarrow.servers.raw.relay import Relay

try:
    import grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection

    from stellarrow.proto import raw_ledger_service_pb2 as messages
except ImportError as error:
    raise ConfigError("gRPC is not installed: pip install 'stellarrow[grpc]' (in a clone: make)") from error

_SERVICE: Final = "raw_ledger_service.RawLedgerService"
_MESSAGE_BYTES: Final = 64 << 20
_STREAMS: Final = 256  # each takes a thread
_SPARE: Final = 8  # threads for health and reflection beside the streams
_OPTIONS: Final = (
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # two servers on one port would each get half of the clients
    # Clients may ask now and then whether the connection lives, also while no ledger comes.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
_CODES: Final[tuple[tuple[type[StellarrowError], grpc.StatusCode], ...]] = (
    (LedgerUnsound, grpc.StatusCode.DATA_LOSS),
    (LedgerMissing, grpc.StatusCode.OUT_OF_RANGE),
    (SourceUnavailable, grpc.StatusCode.UNAVAILABLE),
)


class RawLedgerServer:
    """Stream raw ledgers of a relay on an address; it listens once made, start() lets it answer."""

    def __init__(
        self,
        address: Address,
        relay: Relay,
        *,
        tls: Tls | None = None,
        authenticator: Authenticator | None = None,
        insecure: bool = False,
    ) -> None:
        guarded(address, tls=tls, authenticator=authenticator, insecure=insecure)
        self._relay = relay
        self._streams = threading.BoundedSemaphore(_STREAMS)
        self._health = health.HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(_STREAMS + _SPARE, thread_name_prefix="stellarrow-grpc"),
            options=_OPTIONS,
            interceptors=[_Authenticated(authenticator)] if authenticator else [],
        )
        handler = grpc.unary_stream_rpc_method_handler(
            self._stream,
            request_deserializer=messages.StreamLedgersRequest.FromString,
            response_serializer=messages.RawLedger.SerializeToString,
        )
        methods = grpc.method_handlers_generic_handler(_SERVICE, {"StreamRawLedgers": handler})
        self._server.add_generic_rpc_handlers((methods,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.address = _listen(self._server, address, tls)
        self.ready(False)

    def start(self) -> None:
        self._server.start()

    def ready(self, is_ready: bool) -> None:
        """Tell those who ask grpc.health.v1 whether the work can be done."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", _SERVICE):
            self._health.set(name, status)

    def close(self, grace: float = 0.0) -> None:
        """Take no new calls, give those under way `grace` seconds; twice is harmless."""
        self._server.stop(grace).wait()

    def _stream(
        self, request: messages.StreamLedgersRequest, context: grpc.ServicerContext
    ) -> Iterator[messages.RawLedger]:
        if not self._streams.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{_STREAMS} streams are open: try again later")
        try:
            gone: Callable[[], bool] = lambda: not context.is_active()  # noqa: E731
            for ledgers in self._relay.streams(request.start_ledger, gone=gone):
                for ledger in ledgers:
                    yield messages.RawLedger(sequence=ledger.sequence, ledger_close_meta_xdr=ledger.xdr)
        except StellarrowError as error:
            codes = (code for kind, code in _CODES if isinstance(error, kind))
            context.abort(next(codes, grpc.StatusCode.FAILED_PRECONDITION), str(error))
        finally:
            self._streams.release()


class _Authenticated(grpc.ServerInterceptor):
    """Lets only callers through whom the authenticator knows; health may be asked by anybody."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if handler_call_details.method.startswith(f"/{health.SERVICE_NAME}/"):
            return continuation(handler_call_details)
        try:
            self._authenticator({key: str(value) for key, value in handler_call_details.invocation_metadata})
        except PermissionError as error:
            told = str(error) or "who are you?"

            def refuse(_: Any, context: grpc.ServicerContext) -> None:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, told)

            known = continuation(handler_call_details)
            streams = known is not None and known.response_streaming
            made = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
            return made(refuse)
        return continuation(handler_call_details)


def _listen(server: grpc.Server, address: Address, tls: Tls | None) -> Address:
    try:
        if tls is None:
            return Address(address.host, server.add_insecure_port(str(address)))
        certificate, key, client_ca = tls.pem()
        credentials = grpc.ssl_server_credentials(
            [(key, certificate)], root_certificates=client_ca, require_client_auth=client_ca is not None
        )
        return Address(address.host, server.add_secure_port(str(address), credentials))
    except RuntimeError as error:
        raise ConfigError(
            f"cannot listen on {address}: choose another address, or stop what is there"
        ) from error
