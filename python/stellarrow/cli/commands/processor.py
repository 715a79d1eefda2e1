"""`stellarrow processor serve`: sessions over gRPC, their tables over Arrow Flight."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Final

import click

from stellarrow import extras, registry
from stellarrow.cli.commands.processor_readers import readers, remove_reader
from stellarrow.cli.groups import Verbs
from stellarrow.cli.options import Paged
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, Stop, end_process, stopping
from stellarrow.config import Processor as Settings
from stellarrow.telemetry import logs
from stellarrow.telemetry.trace_export import exported

_EXAMPLE = (
    "\b\nExample:\n  stellarrow processor serve --source ./lake --start-ledger 58752000 --network pubnet"
)

_PAGE: Final = {
    "Options": ("source", "source_endpoint", "network", "start_ledger", "end_ledger", "state_dir"),
    "Sessions": (
        *("tables", "filter_contract_ids", "event_types", "include_deleted", "spool_mb", "on_error"),
    ),
    "How it serves": (*("grpc_address", "flight_address", "health_port", "insecure", "max_memory_mb"),),
}
_LOOK_SECONDS: Final = 0.2  # between looks at whether sessions get what they need
_log: Final = logging.getLogger("stellarrow.processor")


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Turn ledgers into tables for others."""


command.add_command(readers)
command.add_command(remove_reader)


@command.command(cls=Paged, epilog=_EXAMPLE)
@options(Settings, _PAGE)
def serve(settings: Settings) -> None:
    """Serve sessions (gRPC), tables (Arrow Flight), health and metrics (HTTP).

    With --start-ledger a session begins at once. SIGTERM ends streams at a ledger, and sessions for now.
    """
    extras.require("processor serve", "servers", *registry.extras_of(settings.source))
    with (
        logs.written(settings.log_level, settings.log_format),
        exported("stellarrow-processor"),
        stopping(LATE, starting=True) as stop,
    ):
        _serve(settings, stop)


def _serve(settings: Settings, stop: Stop) -> None:
    from stellarrow.services.processor import ProcessorService  # noqa: PLC0415  extras

    with closing(ProcessorService(settings)) as service:
        stop.begin()
        service.start()
        _log.info("processing ledgers from %s: %s", service.source, service.addresses)
        while not stop.event.wait(_LOOK_SECONDS):
            service.look()
        _log.info("draining: streams end at a ledger, sessions continue at the next start")
        service.drain()
    _log.info("stopped")
    end_process(0)
