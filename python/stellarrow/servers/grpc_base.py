"""A gRPC server: TLS, who may come in, health, reflection, and errors as statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stellarrow.errors import StellarrowError, TooManyCalls, Unauthenticated
from stellarrow.extras import needing
from stellarrow.ledgers import Network
from stellarrow.net.address import Address, CannotListen
from stellarrow.security.access import Access, Grant, admit, bound, guarded, status_result
from stellarrow.security.permissions import check_named
from stellarrow.security.principal import Call, Certificate, headers_of
from stellarrow.security.tls import Loaded, Tls
from stellarrow.servers.grpc_requests import Threads, Watcher, understood
from stellarrow.servers.peers import peer_address
from stellarrow.servers.status import status_of
from stellarrow.servers.tcp_keepalive import keep_asking
from stellarrow.telemetry import tracing

with needing("a gRPC server", "servers"):
    import grpc
    from grpc_health.v1 import health_pb2

    from stellarrow.servers.grpc_probes import Health, health_handlers, reflection_handlers

_THREADS: Final = 16
_PROBES: Final = 32  # threads for health, which strangers ask for
_REFLECTING: Final = 4  # at once, of those who are known
# How long a request may be on its way while others wait for its thread; a probe's comes with its call.
_PATIENCE_SECONDS: Final = 0.25
_PROBE_PATIENCE_SECONDS: Final = 0.05
_CLOSE_SECONDS: Final = 2.0
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 << 20),
    ("grpc.max_concurrent_streams", 256),  # of a connection
    ("grpc.server_handshake_timeout_ms", 10_000),
)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one answer; `target` is what the audit log says it was about."""

    work: Callable[[Any], Any]
    read: Callable[[bytes], Any]
    target: Callable[[Any, Any], str] = lambda _request, _answer: ""


@dataclass(frozen=True, slots=True)
class Streaming:
    """A method whose answers go on until the second argument says that nobody may have more."""

    work: Callable[[Any, Callable[[], bool]], Iterator[Any]]
    read: Callable[[bytes], Any]
    status: Callable[[StellarrowError], str] = lambda error: status_of(error).grpc


class RpcServer:
    """Serve some services' methods; it listens once made, start() lets it answer."""

    def __init__(
        self,
        address: Address,
        services: Mapping[str, Mapping[str, Unary | Streaming]],
        *,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
        threads: int = _THREADS,
        options: Sequence[tuple[str, int]] = (),
        network: Network | None = None,
    ) -> None:
        guarded(address, tls=tls, access=access, insecure=insecure)
        self._access = access
        self.calls = tuple(f"/{name}/{method}" for name, methods in services.items() for method in methods)
        check_named(self.calls)
        self._threads = Threads(threads, "stellarrow-grpc", patience=_PATIENCE_SECONDS)
        probes = Threads(_PROBES, "stellarrow-grpc-probe", patience=_PROBE_PATIENCE_SECONDS)
        reflecting = Threads(_REFLECTING, "stellarrow-grpc-reflection", patience=_PATIENCE_SECONDS)
        self._watcher = Watcher((self._threads, probes, reflecting))
        self._server = grpc.server(self._threads, options=[*_OPTIONS, *options])
        for service, methods in services.items():
            handlers = {name: self._handler(f"/{service}/{name}", one) for name, one in methods.items()}
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
        self._services = ("", *services)
        self._health = Health(network, self._services)
        reflected = reflection_handlers(services, reflecting, self._admit)
        self._server.add_generic_rpc_handlers([health_handlers(self._health, probes), reflected])
        self.serving(True)
        self.address = self._listen(address, tls)

    def start(self) -> None:
        self._server.start()
        self._watcher.start()

    def serving(self, well: bool) -> None:
        """Say by grpc.health.v1 whether the services can do their work."""
        kinds = health_pb2.HealthCheckResponse
        for name in self._services:
            self._health.set(name, kinds.SERVING if well else kinds.NOT_SERVING)

    def close(self, grace: float = _CLOSE_SECONDS) -> None:
        """Answer what is being asked, for some seconds at most, then stop; twice is harmless."""
        self._server.stop(grace).wait()
        self._watcher.close()

    def _listen(self, address: Address, tls: Tls | None) -> Address:
        if address.port:
            bound(address).close()  # says by whom and why it cannot be, which gRPC does not
        try:
            if tls:
                port = self._server.add_secure_port(str(address), _credentials(tls))
            else:
                port = self._server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise CannotListen(f"cannot listen on {address}") from error
        keep_asking(port)
        return Address(address.host, port)

    def _handler(self, name: str, method: Unary | Streaming) -> grpc.RpcMethodHandler[Any, Any]:
        if isinstance(method, Unary):
            return grpc.stream_unary_rpc_method_handler(
                lambda requests, context: self._answer(name, method, requests, context),
                understood(method.read),
                _written,
            )
        return grpc.stream_stream_rpc_method_handler(
            lambda requests, context: self._answers(name, method, requests, context),
            understood(method.read),
            _written,
        )

    def _admit(self, name: str, context: grpc.ServicerContext) -> Grant:
        try:
            return admit(self._access, call_of(name, context))
        except StellarrowError as error:
            _abort(context, error, status_of(error).grpc)
            raise AssertionError from error  # abort raises

    def _answer(self, name: str, method: Unary, requests: Any, context: grpc.ServicerContext) -> Any:
        """Answer a call; errors become statuses with their sentence."""
        grant = self._admit(name, context)
        request = self._threads.request(requests, context)
        try:
            with tracing.span(name, _trace_of(context)):
                return self._worked(method, request, grant)
        except StellarrowError as error:
            _abort(context, error, status_of(error).grpc)
        except Exception as error:
            _log.exception("unexpected error in a call")
            context.abort(grpc.StatusCode.INTERNAL, f"unexpected error: {error!r}; the server's log has more")
        raise AssertionError  # abort raises

    def _worked(self, method: Unary, request: Any, grant: Grant) -> Any:
        answer = error = None
        try:
            answer = method.work(request)
        except StellarrowError as raised:
            error = raised
            raise
        finally:
            if self._access:
                self._access.done(grant, target=method.target(request, answer), result=status_result(error))
        return answer

    def _answers(
        self, name: str, method: Streaming, requests: Any, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """Answer until the caller leaves, or is not let in any more."""
        grant = self._admit(name, context)
        request = self._threads.request(requests, context)
        try:
            answers = method.work(request, lambda: not context.is_active() or grant.has_ended())
            for message in tracing.served(name, {tracing.HEADER: _trace_of(context)}, answers):
                grant.check()
                yield message
            grant.check()
        except Unauthenticated as error:
            _abort(context, error, status_of(error).grpc)
        except StellarrowError as error:
            _abort(context, error, method.status(error))


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    """Return credentials that are read again when their files change."""
    first = tls.current()
    used = [first.number]

    def configuration(loaded: Loaded) -> grpc.ServerCertificateConfiguration:
        certificate, key, ca = loaded.files
        return grpc.ssl_server_certificate_configuration([(key, certificate)], ca)

    def fetch() -> grpc.ServerCertificateConfiguration:
        loaded = tls.current()
        if loaded.number == used[0]:
            return None  # type: ignore[return-value]  # no change; the types do not know it
        used[0] = loaded.number
        return configuration(loaded)

    return grpc.dynamic_ssl_server_credentials(configuration(first), fetch, tls.client_ca is not None)


def _trace_of(context: grpc.ServicerContext) -> str:
    """Return the trace that the caller records; without reading headers where none is recorded here."""
    headers = context.invocation_metadata() if tracing.is_on() else ()
    return next((str(value) for key, value in headers or () if key == tracing.HEADER), "")


def _written(answer: Any) -> bytes:
    written: bytes = answer.SerializeToString()
    return written


def _abort(context: grpc.ServicerContext, error: StellarrowError, code: str) -> None:
    if isinstance(error, TooManyCalls):
        # What gRPC's own retries heed, in milliseconds.
        context.set_trailing_metadata((("grpc-retry-pushback-ms", str(round(error.retry_after * 1_000))),))
    context.abort(grpc.StatusCode[code], str(error))


def call_of(name: str, context: grpc.ServicerContext) -> Call:
    """Return a call as `security` sees it."""
    pairs: dict[str, list[str]] = {}
    for key, value in context.invocation_metadata() or ():
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        pairs.setdefault(key.lower(), []).append(text)
    return Call(name, headers_of(pairs), peer_address(context.peer()), _certificate(context))


def _certificate(context: grpc.ServicerContext) -> Certificate | None:
    shown: Mapping[str, Sequence[bytes]] = context.auth_context()  # type: ignore[assignment]  # wrongly typed
    names = [f"SAN:{one.decode(errors='replace')}" for one in shown.get("x509_subject_alternative_name", ())]
    names += [f"CN:{one.decode(errors='replace')}" for one in shown.get("x509_common_name", ())]
    return Certificate(tuple(names)) if names else None
