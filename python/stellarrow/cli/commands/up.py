"""`stellarrow up`: source, processor and sinks in one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from typing import Final, TypeVar

import click
from rich.text import Text

from stellarrow import extras, registry
from stellarrow.cli.options import Paged
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import options
from stellarrow.cli.signals import LATE, end_process, stopping
from stellarrow.config import Analytics, Listening, Processor, Settings, Source, find_file, read
from stellarrow.config.settings import settings_of
from stellarrow.errors import ConfigError
from stellarrow.net.address import Address
from stellarrow.services.all_in_one import DEFAULT_SINK, PRIVATE_SERVER, run
from stellarrow.telemetry import logs
from stellarrow.telemetry.trace_export import exported

_EXAMPLE = """\b
Examples:
  stellarrow up
  stellarrow up --source ./lake --network pubnet --to parquet:./out"""

Service = TypeVar("Service", bound=Settings)
_ANALYTICS: Final = ("REST_PORT", "WEBSOCKET_PORT", "HOT_MB", "ANALYTICS_MB")  # told by the environment, too
_ADDRESSES: Final = ("grpc_address", "flight_address", "health_port", "rest_port", "websocket_port")
# What is told at the processor's health port, for all.
_SILENT: Final = frozenset((("source", "health_port"), ("analytics", "health_port")))
_PAGE: Final = {
    "Options": ("source", "network", "start_ledger", "end_ledger", "tables", "state_dir", "on_error"),
    "How it serves": ("grpc_address", "flight_address", "health_port"),
}


@click.command(cls=Paged, epilog=_EXAMPLE)
@options(Processor, _PAGE)
@click.option(
    "--to",
    multiple=True,
    metavar="SINK",
    help=f"Sinks; `{PRIVATE_SERVER}` is a private server.  [{DEFAULT_SINK} and {PRIVATE_SERVER}]",
)
@click.option("--services", is_flag=True, help="Show what would listen where, and end.")
def command(settings: Processor, to: tuple[str, ...], services: bool) -> None:
    """Run source, processor, sinks and analytics in one process, until Ctrl-C.

    Without --source it takes the real ledgers that come with the package. What the source's own servers
    are told stands in section [source] of the settings file; who may come in, and where state is kept, holds
    for all unless it stands there. Health and metrics of all are at --health-port.
    """
    file = find_file(click.get_current_context().params["config"])
    source = _shared(read(Source, {"source": settings.source}, environ={}, file=file), settings, "source")
    own = {name: value for name, value in os.environ.items() if name in _ANALYTICS}
    analytics = _shared(read(Analytics, environ=own, file=file), settings, "analytics")
    _apart({"source": source, "processor": settings, "analytics": analytics})
    if services:
        _show(_planned(source, settings, analytics))
        return
    named = [place for place in to if place != PRIVATE_SERVER]
    extras.require("up", "servers", "sql", "analytics", *registry.extras_of(settings.source, sinks=named))
    with (
        logs.written(settings.log_level, settings.log_format),
        exported("stellarrow-up"),
        stopping(LATE, starting=True) as stop,
        _located(settings) as location,
    ):
        run(
            replace(settings, source=location),
            replace(source, source=location),
            analytics,
            to,
            stop.event,
            announce=partial(_announce, analytics),
            begin=stop.begin,
        )
    say("stopped: what was read is kept, and the next start goes on from there", err=True)
    end_process(0)


def _apart(services: dict[str, Settings]) -> None:
    """Refuse two servers on one address, which the second would be told of as taken by another program."""
    taken: dict[Address, str] = {}
    for name, settings in services.items():
        for key in _ADDRESSES:
            address = vars(settings).get(key)
            if not isinstance(address, Address) or not address.port or (name, key) in _SILENT:
                continue
            here = f"{key} of {name}"
            if address in taken:
                raise ConfigError(f"{taken[address]} and {here} are both {address}: choose another for one")
            taken[address] = here


def _shared(own: Service, settings: Processor, section: str) -> Service:
    """Give another service's servers what the processor's are told of security, by flags or otherwise."""
    names = ["state_dir", *settings_of(Listening)]
    shared = [name for name in names if not own.origins.get(name, "").endswith(f"[{section}]")]
    # The flags are the processor's: only the file says where the others listen.
    told = {name: f"{name} in section [{section}] of the settings file" for name in _ADDRESSES}
    return replace(own, origins={**told, **own.origins}, **{name: getattr(settings, name) for name in shared})


@contextmanager
def _located(settings: Processor) -> Iterator[str]:
    if settings.source:
        yield settings.source
        return
    with as_file(files("stellarrow") / "data" / "ledgers") as bundled:
        yield str(bundled)


def _planned(source: Source, settings: Processor, analytics: Analytics) -> dict[str, str]:
    planned = {
        "source": f"gRPC {source.grpc_address}, Flight {source.flight_address}",
        "processor": f"gRPC {settings.grpc_address}, Flight {settings.flight_address},"
        f" HTTP {settings.health_port}",
    }
    answers = f"REST {analytics.rest_port}, WebSocket {analytics.websocket_port}"
    return {**planned, "analytics": f"{answers}, Flight {analytics.flight_address}"}


def _announce(analytics: Analytics, services: dict[str, str]) -> None:
    """Show where all of it is reached, and what to do next."""
    _show(services)
    rest = services["analytics"].removeprefix("REST ").partition(",")[0]
    say(f"Open http{'s' if analytics.tls_certificate else ''}://{rest}/ in a browser. Ctrl-C stops.")


def _show(services: dict[str, str]) -> None:
    console = Page(highlight=False)
    for name, where in services.items():
        console.print(Text(f"{name:<11}", style="bold") + Text(where), soft_wrap=True)
