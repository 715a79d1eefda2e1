"""`stellarrow sink serve` and `sink postgres serve`: a processor's tables into sinks."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Final

import click

from stellarrow import extras, registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, end_process, stopping
from stellarrow.config import Consumer as Settings
from stellarrow.config import SinkServer
from stellarrow.net.redaction import redacted_url
from stellarrow.telemetry import logs
from stellarrow.telemetry.trace_export import exported

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


_SINKS_EXAMPLE: Final = "\b\nExample:\n  stellarrow sink serve --to parquet:./out --network pubnet"
_SINKS_PAGE: Final = {
    "Options": ("to", "tables", "source_endpoint", "network", "state_dir"),
    "Files": ("parquet_path", "json_path", "csv_path", "export_formats", "partition_by"),
    "How it serves": ("flight_address", "health_port", "commit_interval", "insecure"),
}
_LOOK_SECONDS: Final = 0.1  # between looks at what has waited long enough
_log: Final = logging.getLogger("stellarrow.sink")


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Serve sinks to a processor."""


@command.command(cls=Paged, epilog=_SINKS_EXAMPLE)
@options(SinkServer, _SINKS_PAGE)
def serve(settings: SinkServer) -> None:
    """Take tables that a processor pushes (Arrow Flight DoPut), or fetch them, into any sinks.

    A processor pushes with --output-endpoint flight://HOST:8817. Each ledger is kept once, whoever sends it.
    """
    extras.require("sink serve", "servers", *registry.extras_of(None, sinks=settings.places))
    from stellarrow.services.sink_server import SinkServer as Service  # noqa: PLC0415  extras

    with (
        logs.written(settings.log_level, settings.log_format),
        exported("stellarrow-sink"),
        stopping(LATE, starting=True) as stop,
        closing(Service(settings)) as service,
    ):
        stop.begin()
        service.start()
        places = ", ".join(map(redacted_url, service.places))
        _log.info("taking %s into %s: %s", ", ".join(service.intakes), places, service.addresses)
        while not stop.event.wait(_LOOK_SECONDS):
            service.look()
        _log.info("draining: what came becomes durable")
        service.drain()
    _log.info("stopped")
    end_process(0)


@command.group(cls=Verbs, epilog=_EXAMPLE)
def postgres() -> None:
    """PostgreSQL."""


@postgres.command("serve", cls=Paged, epilog=_EXAMPLE)
@options(Settings, _PAGE)
def serve_postgres(settings: Settings) -> None:
    """Bring a processor's tables into PostgreSQL; SIGTERM commits what has come and exits."""
    extras.require("sink postgres serve", "postgres", "servers", *registry.extras_of(settings.source))
    from stellarrow.services.consumer import SinkService  # noqa: PLC0415  extras

    with (
        logs.written(settings.log_level, settings.log_format),
        exported("stellarrow-consumer"),
        stopping(LATE, starting=True) as stop,
    ):
        SinkService(settings, stop.event).run(begin=stop.begin)
    if stop.event.is_set():
        end_process(0)
