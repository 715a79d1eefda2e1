"""`stellarrow source serve`: ledgers out of any source, for others."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import partial
from typing import Final

import click

from stellarrow import extras, registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, Stop, end_process, stopping
from stellarrow.config import Source as Settings
from stellarrow.net.redaction import redacted_url
from stellarrow.telemetry import logs
from stellarrow.telemetry.metrics import Metrics
from stellarrow.telemetry.trace_export import exported

_EXAMPLE = "\b\nExample:\n  stellarrow source serve --source ./lake,rpc+https://host --network pubnet"

_PAGE: Final = {
    "Options": ("source", "rpc", "network", "start_ledger", "end_ledger", "state_dir"),
    "How it serves": ("grpc_address", "flight_address", "health_port", "insecure", "max_memory_mb"),
}
_POLL_SECONDS: Final = 0.2  # seconds between looks at whether the work can be done
_log: Final = logging.getLogger("stellarrow.source")


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Serve ledgers to others."""


@command.command(cls=Paged, epilog=_EXAMPLE)
@options(Settings, _PAGE)
def serve(settings: Settings) -> None:
    """Serve ledgers from any source: gRPC RawLedgerService, Arrow Flight, health and metrics.

    Only ledgers proven sound are passed on. SIGTERM ends the streams at a ledger and exits.
    """
    extras.require("source serve", "servers", *registry.extras_of(settings.source, rpc=settings.rpc))
    with (
        logs.written(settings.log_level, settings.log_format),
        exported("stellarrow-source"),
        stopping(LATE, starting=True) as stop,
    ):
        _serve(settings, stop)


def _serve(settings: Settings, stop: Stop) -> None:
    from stellarrow.services.source import SourceService  # noqa: PLC0415  extras
    from stellarrow.services.starting import network_of  # noqa: PLC0415  loads a server

    metrics = Metrics()
    opened = partial(
        registry.open_source,
        settings.source,
        rpc=settings.rpc,
        network=settings.network,
        endpoint=settings.endpoint,
        fetchers=settings.fetchers,
        access=settings.access,
        metrics=metrics,
    )
    network = network_of(
        settings.network,
        settings.origin("network"),
        lambda policy: opened(policy=policy),
        name=redacted_url(settings.source or ",".join(settings.rpc)),
    )
    with (
        closing(opened()) as source,
        closing(SourceService(settings, source, network, metrics)) as service,
    ):
        stop.begin()
        service.start()
        _log.info("serving ledgers of %s from %s: %s", network, service.url, service.addresses)
        while not stop.event.wait(_POLL_SECONDS):
            service.look()
        _log.info("draining: streams end at the ledger they have reached")
        service.drain()
    _log.info("stopped")
    end_process(0)
