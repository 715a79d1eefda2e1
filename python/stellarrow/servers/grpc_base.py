"""A gRPC server: TLS, who may come in, health, reflection, and errors as statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.ledgers import Network
from stellarrow.net.address import Address, CannotListen
from stellarrow.net.grpc_channel import NETWORK_KEY
from stellarrow.security.access import Authenticator, bound, guarded
from stellarrow.security.tls import Tls
from stellarrow.servers.status import status_of
from stellarrow.servers.tcp_keepalive import keep_asking

try:
    import grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection

    from stellarrow.servers.reflection import with_json_names
except ImportError as error:
    raise ConfigError("this needs gRPC: pip install 'stellarrow[grpc]'") from error

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_THREADS: Final = 16
_CLOSE_SECONDS: Final = 2.0
_log: Final = logging.getLogger(__name__)


class RpcServer:
    """Serve some services' methods; it listens once made, start() lets it answer."""

    def __init__(
        self,
        address: Address,
        handlers: Mapping[str, dict[str, grpc.RpcMethodHandler[Any, Any]]],
        *,
        tls: Tls | None = None,
        authenticator: Authenticator | None = None,
        insecure: bool = False,
        threads: int = _THREADS,
        options: Sequence[tuple[str, int]] = (),
        network: Network | None = None,
    ) -> None:
        guarded(address, tls=tls, authenticator=authenticator, insecure=insecure)
        interceptors: list[grpc.ServerInterceptor] = [_Authenticated(authenticator)] if authenticator else []
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="stellarrow-grpc"),
            interceptors=interceptors,
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20), *options],
        )
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
        self._health = _Health(network)
        self._services = ("", *handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*handlers, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, with_json_names(names))
        self.serving(True)
        self.address = self._listen(address, tls)

    def start(self) -> None:
        self._server.start()

    def serving(self, well: bool) -> None:
        """Say by grpc.health.v1 whether the services can do their work."""
        kinds = health_pb2.HealthCheckResponse
        for name in self._services:
            self._health.set(name, kinds.SERVING if well else kinds.NOT_SERVING)

    def close(self, grace: float = _CLOSE_SECONDS) -> None:
        """Answer what is being asked, for some seconds at most, then stop; twice is harmless."""
        self._server.stop(grace).wait()

    def _listen(self, address: Address, tls: Tls | None) -> Address:
        if address.port:
            bound(address).close()  # says by whom and why it cannot be, which gRPC does not
        try:
            if tls:
                certificate, key, ca = tls.pem()
                credentials = grpc.ssl_server_credentials([(key, certificate)], ca, ca is not None)
                port = self._server.add_secure_port(str(address), credentials)
            else:
                port = self._server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise CannotListen(f"cannot listen on {address}") from error
        keep_asking(port)
        return Address(address.host, port)


def unary(
    work: Callable[[Request], Answer], read: Callable[[bytes], Request], write: Callable[[Answer], bytes]
) -> grpc.RpcMethodHandler[Request, Answer]:
    """Return a method whose errors become statuses with their sentence."""

    def answer(request: Request, context: grpc.ServicerContext) -> Answer:
        try:
            return work(request)
        except StellarrowError as error:
            context.abort(grpc.StatusCode[status_of(error).grpc], str(error))
        except Exception as error:
            _log.exception("unexpected error in a call")
            context.abort(grpc.StatusCode.INTERNAL, f"unexpected error: {error!r}; the server's log has more")
        raise AssertionError  # abort raises

    return grpc.unary_unary_rpc_method_handler(answer, read, write)


class _Health(health.HealthServicer):
    """Health, and beside it, as metadata, of which network the ledgers are."""

    def __init__(self, network: Network | None) -> None:
        super().__init__()
        self._metadata = ((NETWORK_KEY, network.passphrase.encode()),) if network else ()

    def Check(  # noqa: N802  gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        context.send_initial_metadata(self._metadata)
        return super().Check(request, context)


class _Authenticated(grpc.ServerInterceptor):
    """Lets only callers through whom the authenticator knows; health is open to probes."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        if not handler_call_details.method.startswith(f"/{health.SERVICE_NAME}/"):
            try:
                self._authenticator(_plain(handler_call_details.invocation_metadata or ()))
            except PermissionError as error:
                return _refusing(str(error) or "authentication required")
        return continuation(handler_call_details)


def _refusing(why: str) -> grpc.RpcMethodHandler[Any, Any]:
    def refuse(_: Any, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, why)

    return grpc.unary_unary_rpc_method_handler(refuse)


def _plain(metadata: Sequence[tuple[str, str | bytes]]) -> dict[str, str]:
    return {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in metadata
    }
