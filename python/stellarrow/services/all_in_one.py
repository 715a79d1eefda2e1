"""Source, processor and sinks in one process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from stellarrow import extras, registry
from stellarrow.config import Analytics, Processor, Source
from stellarrow.core.options import DecodeOptions
from stellarrow.core.tables import table
from stellarrow.errors import ConfigError, SinkError, StellarrowError, Unavailable
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline import loop
from stellarrow.protocols import Sink
from stellarrow.services.asked_ledgers import asked_ledgers
from stellarrow.telemetry.gaps import Gap
from stellarrow.telemetry.metrics import Metrics

DEFAULT_SINK: Final = "parquet:./stellarrow-data/up"
PRIVATE_SERVER: Final = "postgres:"  # a server of our own
_DATABASE: Final = Path("stellarrow-data/up-postgres")
_COMMIT_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 5.0
_READABLE_POLL_SECONDS: Final = 0.2  # seconds between looks at whether the source can be read
_log: Final = logging.getLogger("stellarrow.up")


def _reached(to: tuple[str, ...], stack: ExitStack) -> Iterator[str]:
    """Yield the places; the private server is started, or left out where it cannot be and was not named."""
    for place in to or (DEFAULT_SINK, PRIVATE_SERVER):
        if place != PRIVATE_SERVER:
            yield place
            continue
        try:
            extras.require("a private PostgreSQL", "postgres", advise="embedded")
            from stellarrow.sinks.postgres.embedded import PrivateServer  # noqa: PLC0415  an extra

            yield stack.enter_context(PrivateServer(_DATABASE)).url
        except (ConfigError, SinkError) as error:
            if to:
                raise
            _log.warning("PostgreSQL is left out: %s", error)


def run(
    settings: Processor,
    source: Source,
    analytics: Analytics,
    to: tuple[str, ...],
    stop: threading.Event,
    *,
    announce: Callable[[dict[str, str]], None],
    begin: Callable[[], None] = lambda: None,
) -> bool:
    """Run until told to stop; tell whether every client has let go.

    `begin` is called before the first ledger is read, `announce` once everything answers, with each service's
    addresses.
    """
    from stellarrow.services.processor import ProcessorService  # noqa: PLC0415  extras
    from stellarrow.services.source import SourceService  # noqa: PLC0415  extras

    metrics = Metrics()
    with ExitStack() as stack:
        opened = stack.enter_context(closing(_opened_source(settings, metrics)))
        network = registry.find_network(opened, settings.network)
        ledgers = _wanted_ledgers(settings, opened)
        ledgers_out = stack.enter_context(
            closing(SourceService(source, opened, network, metrics, health=settings.health_port))
        )
        tables_out = stack.enter_context(
            closing(ProcessorService(replace(settings, network=network.written)))
        )
        locations = [*_reached(to, stack)]
        sinks = [*_fed(locations, settings, ledgers, tables_out.processor.metrics, stack)]
        answers = stack.enter_context(
            closing(_analytics(analytics, tables_out.processor, network, locations))
        )
        tables_out.http.speak_for(ledgers_out.beside, answers.beside)
        begin()
        services = {"source": ledgers_out, "processor": tables_out, "analytics": answers}
        for one in (*services.values(), *sinks):
            one.start()
        _start_sessions(ledgers, tables_out)
        announce(_named(services, locations))
        while not stop.wait(_READABLE_POLL_SECONDS):
            for one in services.values():
                one.look()
        return _drained([*services.values()], sinks)


def _fed(
    locations: Sequence[str], settings: Processor, ledgers: LedgerSet, metrics: Metrics, stack: ExitStack
) -> Iterator[_Feed]:
    """Open a sink at each location, which tells what it lacks."""
    for location in locations:
        gap = Gap(metrics, redacted_url(location), wanted=ledgers)
        yield stack.enter_context(closing(_Feed(location, settings, ledgers, gap)))


def _named(services: dict[str, Any], locations: Sequence[str]) -> dict[str, str]:
    """Return where each service is reached, and what the sinks are."""
    reached = {name: one.addresses for name, one in services.items()}
    return {**reached, "sinks": ", ".join(map(redacted_url, locations))}


def _analytics(settings: Analytics, tables: Any, network: Network, locations: Sequence[str]) -> Any:
    """Return the analytics service over the sessions, and over what a sink of files has stored of them."""
    from stellarrow.services.analytics import AnalyticsService  # noqa: PLC0415  extras
    from stellarrow.services.own_processor import own_tables  # noqa: PLC0415  extras

    files = [one for one in locations if one.partition(":")[0] in registry.FORMATS]
    # Sinks keep every row: beside sessions with a filter, one answer would be of two kinds of ledgers.
    data = files[0] if files and not str(tables.where) else None
    streams = own_tables(tables, settings.tables)
    return AnalyticsService(replace(settings, data=data), streams=streams, network=network)


def _opened_source(settings: Processor, metrics: Metrics) -> Any:
    return registry.open_source(
        settings.source, network=settings.network, access=settings.access, metrics=metrics
    )


def _drained(services: Sequence[Any], sinks: Sequence[_Feed]) -> bool:
    """Let all of it end side by side, as there are ten seconds for all; tell whether every client let go."""
    with ThreadPoolExecutor(len(services), thread_name_prefix="stellarrow-drain") as threads:
        for sink in sinks:
            sink.stop()
        draining = [threads.submit(one.drain) for one in services]
        for sink in sinks:
            sink.close()
        ended = [one.result() for one in draining]
        return all(ended)


def _wanted_ledgers(settings: Processor, source: Any) -> LedgerSet:
    """Return the ledgers the settings name, or all the source has."""
    if settings.start_ledger:
        return LedgerSet([asked_ledgers(settings, lambda: nullcontext(source))])
    return loop.wanted_ledgers(source, None)


def _start_sessions(ledgers: LedgerSet, service: Any) -> None:
    """Start a session for each range that none has."""
    for part in _lacking(ledgers, service):
        service.processor.start(part.first, part.last or 0)


def _lacking(ledgers: LedgerSet, service: Any) -> Iterator[LedgerRange]:
    return (part for part in ledgers if not service.processor.has(part))


class _Feed:
    """A sink that is fed from the source, beside the sessions, in a thread; it waits for what is away."""

    def __init__(self, place: str, settings: Processor, ledgers: LedgerSet, gap: Gap) -> None:
        self._gap = gap
        self._place = redacted_url(place)
        self._ledgers = ledgers
        # A sink has one version of a table: the newest.
        self._tables = list(dict.fromkeys(table(name).name for name in settings.tables))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stellarrow-sink")
        self._source = registry.open_source(settings.source, network=settings.network, access=settings.access)
        self._network = registry.find_network(self._source, settings.network)
        self._open = partial(
            registry.open_sink,
            place,
            self._tables,
            registry.SinkOptions(network=self._network, expected=lambda: ledgers),
        )
        self._sink: Sink | None = self._open()
        gap.note(self._sink.coverage())  # a wrong address or a place of something else is told at the start

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it finish what is in hand."""
        self._stop.set()
        self._source.close()

    def close(self) -> None:
        """Return when what was in hand is finished; twice is harmless."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()
        if self._sink:
            self._sink.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._extract()
                return
            except Unavailable as error:
                _log.warning("%s: %s; trying again", self._place, error)
                self._release()
                self._stop.wait(_RETRY_SECONDS)
            except StellarrowError as error:
                _log.error("%s: %s; restart to continue", self._place, error)
                return

    def _release(self) -> None:
        """Close the sink: what it held that was not durable is gone, and read again."""
        sink, self._sink = self._sink, None
        with suppress(StellarrowError):
            if sink:
                sink.close()

    def _extract(self) -> None:
        sink = self._sink = self._sink or self._open()
        report = loop.run(
            self._source,
            tables=self._tables,
            sinks=[sink],
            options=DecodeOptions(network=self._network),
            limits=loop.Limits(workers=1, commit_every=_COMMIT_SECONDS),
            ledgers=self._ledgers,
            stop=self._stop,
            progress=lambda _: self._gap.look(sink.coverage),
        )
        self._gap.note(sink.coverage())
        _log.info("%s: %d ledgers written, %d there before", self._place, report.ledgers, report.skipped)
