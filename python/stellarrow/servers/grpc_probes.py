"""What every gRPC server answers beside its services: health to anybody, reflection to who is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from stellarrow.extras import needing
from stellarrow.ledgers import Network
from stellarrow.net.grpc_channel import NETWORK_KEY
from stellarrow.servers.grpc_requests import Threads, understood

with needing("a gRPC server", "servers"):
    import grpc
    from grpc_health.v1 import health, health_pb2
    from grpc_reflection.v1alpha import reflection, reflection_pb2

    from stellarrow.servers.reflection import with_json_names

REFLECTION: Final = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"
Admit = Callable[[str, Any], object]


class Health(health.HealthServicer):
    """Health, and beside it, as metadata, of which network the ledgers are."""

    def __init__(self, network: Network | None, services: Iterable[str]) -> None:
        super().__init__()
        self._metadata = ((NETWORK_KEY, network.passphrase.encode()),) if network else ()
        self._known = frozenset(services)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  gRPC's name
        context.send_initial_metadata(self._metadata)
        return super().Check(request, context)

    def Watch(  # noqa: N802  gRPC's name
        self, request: Any, context: Any, send_response_callback: Callable[[Any], None] | None = None
    ) -> Any:
        """Tell the health whenever it changes; of what no server has, nothing is remembered."""
        if request.service in self._known or send_response_callback is None:
            return super().Watch(request, context, send_response_callback)
        kinds = health_pb2.HealthCheckResponse
        send_response_callback(kinds(status=kinds.SERVICE_UNKNOWN))
        context.add_callback(lambda: send_response_callback(None))
        return None


def health_handlers(served: Health, threads: Threads) -> grpc.GenericRpcHandler:
    """Return the methods of grpc.health.v1, answered by threads of their own."""

    def check(requests: Iterator[Any], context: Any) -> Any:
        return served.Check(threads.request(requests, context), context)

    def watch(requests: Iterator[Any], context: Any, send_response_callback: Callable[[Any], None]) -> None:
        served.Watch(threads.request(requests, context), context, send_response_callback)

    read = understood(health_pb2.HealthCheckRequest.FromString)
    handlers = {
        "Check": grpc.stream_unary_rpc_method_handler(threads.behaving(check), read, _written),
        "Watch": grpc.stream_stream_rpc_method_handler(
            threads.behaving(watch, non_blocking=True), read, _written
        ),
    }
    return grpc.method_handlers_generic_handler(health.SERVICE_NAME, handlers)


def reflection_handlers(services: Iterable[str], threads: Threads, admit: Admit) -> grpc.GenericRpcHandler:
    """Return the method of reflection; `admit` raises where the caller is not to know of the services."""
    names = (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
    served = reflection.ReflectionServicer(names, pool=with_json_names(names))

    def reflect(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        admit(REFLECTION, context)
        yield from served.ServerReflectionInfo(threads.each(requests, context), context)

    read = understood(reflection_pb2.ServerReflectionRequest.FromString)
    handler = grpc.stream_stream_rpc_method_handler(threads.behaving(reflect), read, _written)
    return grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, {"ServerReflectionInfo": handler})


def _written(answer: Any) -> bytes:
    written: bytes = answer.SerializeToString()
    return written
