"""Whether traces are recorded, and sent where OpenTelemetry's environment variables say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from stellarrow.telemetry.tracing import recorded_by

_WANTED: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


@contextmanager
def exported(service: str) -> Iterator[None]:
    """Send traces where the environment variables of OpenTelemetry say, while the block lasts.

    Without such variables nothing is recorded, and nothing is loaded. `service` is the name unless
    OTEL_SERVICE_NAME gives another.
    """
    if not _is_wanted(os.environ):
        yield
        return
    from stellarrow.telemetry.otel import exporting  # noqa: PLC0415  an extra

    with exporting(service) as recorder, recorded_by(recorder):
        yield


def _is_wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(environ.get(name, "").strip() for name in _WANTED)
