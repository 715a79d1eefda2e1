"""`stellarrow source serve`: ledgers out of any source, for others."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

import click

from stellarrow.cli import logs, places
from stellarrow.cli.settings import options
from stellarrow.cli.verbs import Verbs
from stellarrow.config import Source as Settings
from stellarrow.metrics import Metrics

_EXAMPLE = "\b\nExample:\n  stellarrow source serve --source ./lake,rpc+https://host --network pubnet"

_LOOK: Final = 0.2  # seconds between looks at whether the work can be done
_log: Final = logging.getLogger("stellarrow.source")


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Serve ledgers to others."""


@command.command(epilog=_EXAMPLE)
@options(Settings)
def serve(settings: Settings) -> None:
    """Serve ledgers from any source: gRPC RawLedgerService, Arrow Flight, health and metrics.

    Only ledgers proven sound are passed on. SIGTERM ends the streams at a ledger and exits.
    """
    with logs.written(settings.log_level, settings.log_format), _told_to_stop() as stop:
        _serve(settings, stop)


def _serve(settings: Settings, stop: threading.Event) -> None:
    from stellarrow.cli.source_service import SourceService  # noqa: PLC0415  extras

    metrics = Metrics()
    opened = places.open_source(settings.source, rpc=settings.rpc, network=settings.network, metrics=metrics)
    with closing(opened) as source:
        network = places.find_network(source, settings.network)
        with closing(SourceService(settings, source, network, metrics)) as service:
            service.start()
            _log.info("serving ledgers of %s from %s: %s", network, service.url, service.addresses)
            while not stop.wait(_LOOK):
                service.look()
            _log.info("draining: streams end at the ledger they have reached")
            service.drain()
    _log.info("stopped")


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Turn SIGTERM and SIGINT into an event; a second SIGINT interrupts."""
    stop = threading.Event()

    def told(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
