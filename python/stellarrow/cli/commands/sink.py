"""`stellarrow sink postgres serve`: a processor's tables into PostgreSQL."""

from __future__ import annotations

from typing import Final

import click

from stellarrow import extras, registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, end_process, stopping
from stellarrow.config import Consumer as Settings
from stellarrow.telemetry import logs

_EXAMPLE: Final = (
    "\b\nExample:\n  stellarrow sink postgres serve --database-url postgres://me@localhost/stellar"
)
_PAGE: Final = {
    "Options": ("flight_endpoint", "source", "network", "start_ledger", "end_ledger"),
    "The database": (
        *("database_url", "db_host", "db_port", "db_name", "db_user", "db_password", "db_sslmode"),
        *("db_batch_size", "db_flush_interval", "max_retries"),
    ),
    "How it is watched": ("metrics_port", "log_level", "log_format"),
}


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Serve a sink to a processor."""


@command.group(cls=Verbs, epilog=_EXAMPLE)
def postgres() -> None:
    """PostgreSQL."""


@postgres.command(cls=Paged, epilog=_EXAMPLE)
@options(Settings, _PAGE)
def serve(settings: Settings) -> None:
    """Bring a processor's tables into PostgreSQL; SIGTERM commits what has come and exits."""
    extras.require("sink postgres serve", "postgres", "servers", *registry.extras_of(settings.source))
    from stellarrow.services.consumer import SinkService  # noqa: PLC0415  extras

    with logs.written(settings.log_level, settings.log_format), stopping(LATE, starting=True) as stop:
        SinkService(settings, stop.event).run(begin=stop.begin)
    if stop.event.is_set():
        end_process(0)
