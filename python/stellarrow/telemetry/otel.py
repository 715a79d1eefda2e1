"""OpenTelemetry: spans into batches, and those to a collector, on a thread that nobody waits for.

The environment variables that OpenTelemetry's specification names configure all of it, and nothing else does.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from stellarrow.errors import ConfigError
from stellarrow.extras import needing
from stellarrow.net.redaction import redacted_text
from stellarrow.telemetry.tracing import NOT_RECORDED, Attribute, Open, is_recorded

with needing("sending traces", "otel"):
    from opentelemetry import trace as api
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SpanExporter,
        SpanExportResult,
    )
    from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

_VERSION: Final = "00"  # of the header traceparent
_KINDS: Final = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "server": SpanKind.SERVER}
# At the live edge a ledger closes every five seconds. In bulk thousands go through a second, and a span costs
# as much as a small ledger: of those, so many chunks a second are traced, by all services that see them.
_TRACES_A_SECOND: Final = 20.0
_CLOSE_SECONDS: Final = 1.0  # for what is left to send at the end; a collector that is away gets nothing
_log: Final = logging.getLogger("stellarrow.traces")


class _Begun:
    def __init__(self, span: api.Span) -> None:
        self._span = span
        self.trace = _written(span.get_span_context())

    def end(self) -> None:
        self._span.end()


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    trace: str

    def end(self) -> None:
        """Have nothing to keep."""


class OtelRecorder:
    """Makes spans with a provider's tracer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("stellarrow")
        self._lock = threading.Lock()
        self._allowed = _TRACES_A_SECOND
        self._looked_at = time.monotonic()

    def begin(
        self,
        name: str,
        trace: str,
        attributes: Mapping[str, Attribute],
        *,
        began: int | None = None,
        kind: str = "internal",
    ) -> Open:
        if trace and not is_recorded(trace):
            return _Unrecorded(trace)
        if not trace and not self._may_begin():
            return _Unrecorded(NOT_RECORDED)
        return _Begun(
            self._tracer.start_span(
                name, _context_of(trace), kind=_KINDS[kind], attributes=_named(attributes), start_time=began
            )
        )

    @contextmanager
    def span(self, name: str, trace: str, attributes: Mapping[str, Attribute]) -> Iterator[str]:
        span = self._tracer.start_span(name, _context_of(trace), attributes=_named(attributes))
        try:
            with api.use_span(span, record_exception=False, set_status_on_exception=False):
                yield _written(span.get_span_context())
        except GeneratorExit:
            raise
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, redacted_text(f"{type(error).__name__}: {error}")))
            raise
        finally:
            span.end()

    def current(self) -> str:
        context = api.get_current_span().get_span_context()
        return _written(context) if context.is_valid else ""

    def _may_begin(self) -> bool:
        """Take one of the traces that may begin; they come back with the time, up to a second's."""
        with self._lock:
            now = time.monotonic()
            came = (now - self._looked_at) * _TRACES_A_SECOND
            self._allowed = min(_TRACES_A_SECOND, self._allowed + came)
            self._looked_at = now
            if self._allowed < 1:
                return False
            self._allowed -= 1
            return True


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {f"stellarrow.{name}": value for name, value in attributes.items()}


def _written(context: SpanContext) -> str:
    return f"{_VERSION}-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"


def _context_of(trace: str) -> Context:
    """Return what a traceparent means; one that is not well-formed is none, and a trace begins."""
    context = Context()
    try:
        _, trace_id, span_id, flags = trace.split("-")
        parent = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
    except ValueError:
        return context
    return api.set_span_in_context(NonRecordingSpan(parent), context) if parent.is_valid else context


@contextmanager
def exporting(service: str) -> Iterator[OtelRecorder]:
    """Return what records; at the end what is left is sent, within seconds."""
    with _quiet() as last:
        provider = _provider(service, last)
        try:
            yield OtelRecorder(provider)
        finally:
            _shut_down(provider)


def _provider(service: str, last: _LastLine) -> TracerProvider:
    named = {} if os.environ.get("OTEL_SERVICE_NAME", "").strip() else {SERVICE_NAME: service}
    if "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        named = {}
    try:
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        for exporter in _exporters():
            provider.add_span_processor(BatchSpanProcessor(_Told(exporter, last)))
    except ValueError as error:
        raise ConfigError(f"a variable OTEL_… has a value that cannot be meant: {error}") from error
    return provider


def _exporters() -> Iterator[SpanExporter]:
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    for name in filter(None, (one.strip() for one in named.split(","))):
        if name == "otlp":
            yield _otlp()
        elif name == "console":
            yield ConsoleSpanExporter(out=sys.stderr)
        else:
            raise ConfigError(f"OTEL_TRACES_EXPORTER is {name!r}: it must be otlp, console or none")


def _otlp() -> SpanExporter:
    """Return the exporter of the protocol that is named; http/protobuf is OpenTelemetry's default."""
    variable = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
    if not (protocol := os.environ.get(variable, "").strip()):
        variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
        protocol = os.environ.get(variable, "").strip() or "http/protobuf"
    with needing("sending traces", "otel"):
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415  one of two
                OTLPSpanExporter as OverGrpc,
            )

            return OverGrpc()
        if protocol == "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  one of two
                OTLPSpanExporter as OverHttp,
            )

            return OverHttp()
    raise ConfigError(f"{variable} is {protocol!r}: it must be http/protobuf or grpc")


class _LastLine(logging.Handler):
    """Keeps what OpenTelemetry's libraries said last, which they say again and again."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


@contextmanager
def _quiet() -> Iterator[_LastLine]:
    """Keep OpenTelemetry's own lines out of the log; what they tell is told once by us."""
    logger, last = logging.getLogger("opentelemetry"), _LastLine()
    before = logger.propagate
    logger.propagate = False
    logger.addHandler(last)
    try:
        yield last
    finally:
        logger.removeHandler(last)
        logger.propagate = before


class _Told(SpanExporter):
    """Says once that traces are not taken, and once that they are again."""

    def __init__(self, inner: SpanExporter, last: _LastLine) -> None:
        self._inner = inner
        self._last = last
        self._is_well = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        is_well = result is SpanExportResult.SUCCESS
        if is_well and not self._is_well:
            _log.info("traces are taken again")
        elif self._is_well and not is_well:
            _log.warning(
                "traces are not taken (%s): going on without; check OTEL_EXPORTER_OTLP_ENDPOINT",
                redacted_text(self._last.text) or "no reason is given",
            )
        self._is_well = is_well
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def _shut_down(provider: TracerProvider) -> None:
    """Send what is left, if that is done soon: what takes longer ends with the process."""
    ending = threading.Thread(target=provider.shutdown, name="stellarrow-traces-end", daemon=True)
    ending.start()
    ending.join(_CLOSE_SECONDS)
