"""`stellarrow analytics serve`: tables and figures over REST, WebSocket and Flight."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Final

import click

from stellarrow import extras, registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, Stop, end_process, stopping
from stellarrow.config import Analytics as Settings
from stellarrow.telemetry import logs
from stellarrow.telemetry.trace_export import exported

_EXAMPLE = """\b
Examples:
  stellarrow analytics serve --data ./stellarrow-data
  stellarrow analytics serve --source ./lake --network pubnet"""

_PAGE: Final = {
    "Options": ("data", "source", "source_endpoint", "network", "start_ledger", "end_ledger", "tables"),
    "How it serves": (
        *("rest_port", "websocket_port", "flight_address", "health_port"),
        *("hot_mb", "insecure", "state_dir"),
    ),
}
_LOOK_SECONDS: Final = 0.2  # between looks at what is new
_log: Final = logging.getLogger("stellarrow.analysis")


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Answer questions about tables."""


@command.command(cls=Paged, epilog=_EXAMPLE)
@options(Settings, _PAGE)
def serve(settings: Settings) -> None:
    """Serve tables and figures over REST, WebSocket and Arrow Flight, with health and metrics.

    Newer ledgers come from a processor, or from any --source; --data alone serves what is stored.
    """
    source = registry.extras_of(settings.source) if settings.source else ()
    aging = ["lifecycle"] if settings.schedule else []
    extras.require("analytics serve", "servers", "sql", "analytics", *source, *aging)
    with (
        logs.written(settings.log_level, settings.log_format),
        exported("stellarrow-analytics"),
        stopping(LATE, starting=True) as stop,
    ):
        _serve(settings, stop)


def _serve(settings: Settings, stop: Stop) -> None:
    from stellarrow.services.analytics import AnalyticsService  # noqa: PLC0415  extras

    with closing(AnalyticsService(settings)) as service:
        stop.begin()
        service.start()
        _log.info("answering: %s", service.addresses)
        while not stop.event.wait(_LOOK_SECONDS):
            service.look()
        service.drain()
    _log.info("stopped")
    end_process(0)
