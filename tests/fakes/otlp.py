"""A collector of traces: OTLP over HTTP and over gRPC, as OpenTelemetry's collector takes it."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_SECONDS = 60.0
_EXPORT = "opentelemetry.proto.collector.trace.v1.TraceService"


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    kind: int
    began: int
    ended: int
    error: str
    attributes: dict[str, Any] = field(default_factory=dict)


class Collector:
    """Listens on ports of 127.0.0.1 and keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._grpc = grpc.server(ThreadPoolExecutor(2))
        export = grpc.unary_unary_rpc_method_handler(
            self._export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
        )
        self._grpc.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_EXPORT, {"Export": export})]
        )
        self._grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self._grpc_port}"

    def environment(self) -> dict[str, str]:
        """Return what a service is told so that it sends its traces here, soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def _export(self, request: ExportTraceServiceRequest, _: object) -> ExportTraceServiceResponse:
        self.take(request)
        return ExportTraceServiceResponse()

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self._lock:
            for resource in request.resource_spans:
                named = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [_received(named["service.name"], span) for span in scope.spans]

    def named(self, name: str) -> list[Received]:
        with self._lock:
            return [one for one in self.spans if one.name == name]

    def wait_for(self, found: Callable[[], object]) -> None:
        """Return once something came."""
        deadline = time.monotonic() + _SECONDS
        while not found():
            came = sorted({(one.service, one.name) for one in self.spans})
            assert time.monotonic() < deadline, f"only {came} came"
            time.sleep(0.02)


def _received(service: str, span: Any) -> Received:
    attributes = {}
    for one in span.attributes:
        attributes[one.key] = getattr(one.value, one.value.WhichOneof("value"))
    return Received(
        service=service,
        name=span.name,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        kind=span.kind,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        error=span.status.message,
        attributes=attributes,
    )
