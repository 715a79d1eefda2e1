"""`stellarrow source serve`: ledgers out of any source, for others."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from typing import Final

import click

from stellarrow import extras, registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, end_process, stopping
from stellarrow.config import Source as Settings
from stellarrow.telemetry import logs
from stellarrow.telemetry.metrics import Metrics

_EXAMPLE = "\b\nExample:\n  stellarrow source serve --source ./lake,rpc+https://host --network pubnet"

_PAGE: Final = {
    "Options": ("source", "rpc", "network", "state_dir"),
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
    with logs.written(settings.log_level, settings.log_format), stopping(LATE) as stop:
        _serve(settings, stop.event)


def _serve(settings: Settings, stop: threading.Event) -> None:
    from stellarrow.services.source import SourceService  # noqa: PLC0415  extras

    metrics = Metrics()
    opened = registry.open_source(
        settings.source,
        rpc=settings.rpc,
        network=settings.network,
        endpoint=settings.endpoint,
        fetchers=settings.fetchers,
        access=settings.access,
        metrics=metrics,
    )
    with closing(opened) as source:
        network = registry.find_network(source, settings.network)
        with closing(SourceService(settings, source, network, metrics)) as service:
            service.start()
            _log.info("serving ledgers of %s from %s: %s", network, service.url, service.addresses)
            while not stop.wait(_POLL_SECONDS):
                service.look()
            _log.info("draining: streams end at the ledger they have reached")
            service.drain()
    _log.info("stopped")
    end_process(0)
