"""What `sink postgres serve` is made of: the stream, the sink, HTTP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from functools import partial
from typing import Final
from urllib.parse import quote

from stellarrow import registry
from stellarrow.config import Consumer as Settings
from stellarrow.consumer.consumer import FORMAT, Consumer
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.consumer.stats import ConsumerMetrics, Stats
from stellarrow.core.options import DecodeOptions
from stellarrow.errors import ConfigError, SourceUnavailable
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Guard, Policy
from stellarrow.pipeline import loop
from stellarrow.protocols import Guarded, ServerState
from stellarrow.servers.http import HealthServer
from stellarrow.services.secured import Secured
from stellarrow.services.starting import NAME_IT, agreed, listening, network_of
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.sink import Flush
from stellarrow.telemetry.gaps import Gap, from_first
from stellarrow.telemetry.health import Check, Outage
from stellarrow.telemetry.metrics import Metrics

with needing("HTTP", "servers"):
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

_LOOK_SECONDS: Final = 0.2  # between looks at what is away
_log: Final = logging.getLogger("stellarrow.sink")


class SinkService:
    """One consumer, from its settings to its end."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        if not settings.tables:
            raise ConfigError(
                f"{settings.origin('tables')} is empty: name at least one, such as contract_data"
            )
        if settings.end_ledger and not (settings.start_ledger or settings.source):
            raise ConfigError(
                f"{settings.origin('end_ledger')} is {settings.end_ledger}: give --start-ledger too"
            )
        if settings.by_date and not settings.source:
            raise ConfigError(
                f"{settings.ledgers_asked} asks by date, but a processor's Flight does not tell when ledgers"
                " closed: give the ledgers' numbers, or a source"
            )
        self._settings = settings
        self._network = _begun_network(settings)
        self._stop = stop
        self._metrics = Metrics()
        self._counted = ConsumerMetrics(self._metrics)
        self._stats = {name: Stats() for name in settings.tables}
        place, wanted = redacted_url(database_url(settings)), from_first(settings.start_ledger)
        self._gaps = {name: Gap(self._metrics, place, name, wanted=wanted) for name in settings.tables}
        self._ready = threading.Event()
        self._has_begun = False
        self._outage = Outage()
        self._guards: list[ServerState] = []  # of streams, sinks, the source
        self._secured = Secured(settings, settings.state_dir, self._metrics)

    def run(self, *, begin: Callable[[], None] = lambda: None) -> None:
        """Return when told to stop, or when the end ledger is reached; `begin` is called once it consumes."""
        settings = self._settings
        with closing(self._secured), closing(self._http()) as http, ExitStack() as opened:
            sinks = {name: opened.enter_context(closing(self._sink(name))) for name in settings.tables}
            self._guards += [guard for sink in sinks.values() for guard in sink.guards]
            for name, sink in sinks.items():
                # What cannot be reached or fits nothing is told before we are ready.
                self._gaps[name].note(sink.coverage())
            http.start()
            self._ready.set()
            self._has_begun = True
            begin()
            place = redacted_url(settings.source) if settings.source else settings.flight_endpoint
            _log.info("consuming %s of %s, HTTP on %s", ", ".join(sinks), place, http.address)
            try:
                if settings.source:
                    self._open_source(settings.source, sinks)
                else:
                    self._extract(sinks)
            finally:
                self._has_begun = False
                self._ready.clear()
        last = self._together().committed_ledger
        _log.info("stopped; %s is durable", "what came" if last is None else f"all up to ledger {last}")

    def _sink(self, table: str) -> PostgresSink:
        return PostgresSink(
            database_url(self._settings),
            [table],
            network=self._network,
            batch_rows=self._settings.db_batch_size,
            mode="live",
            policy=Policy(attempts=self._settings.max_retries + 1),
            metrics=self._metrics,
            watch=partial(self._stored, table),
        )

    def _extract(self, sinks: Mapping[str, PostgresSink]) -> None:
        """Consume the tables side by side; one that fails ends all."""
        consumers = [self._consumer(name, sink) for name, sink in sinks.items()]
        with ThreadPoolExecutor(len(consumers), thread_name_prefix="stellarrow-consumer") as threads:
            running = [threads.submit(consumer.run) for consumer in consumers]
            while wait(running, _LOOK_SECONDS, FIRST_EXCEPTION).not_done and not _failed(running):
                self._look()
            if _failed(running):
                self._stop.set()
        for one in running:
            one.result()

    def _consumer(self, table: str, sink: PostgresSink) -> Consumer:
        settings = self._settings
        stream = FlightTable(
            settings.flight_endpoint,
            table,
            network=self._network,
            credentials=settings.access.source,
            secure=settings.is_secure,
        )
        policy = Policy(attempts=None, failures_to_open=1_000)
        ledgers = LedgerRange.parse(settings.ledgers_asked) if settings.start_ledger else None
        guard = Guard(stream.name, policy, metrics=self._metrics, stop=self._stop)
        stream.answered = guard.answered
        self._guards.append(guard)
        return Consumer(
            stream,
            sink,
            table=table,
            flush_interval=settings.db_flush_interval,
            guard=guard,
            stop=self._stop,
            metrics=self._counted,
            stats=self._stats[table],
            ledgers=ledgers,
            gap=self._gaps[table],
        )

    def _open_source(self, place: str, sinks: Mapping[str, PostgresSink]) -> None:
        """Decode here what a source has, without a processor."""
        settings = self._settings
        with closing(registry.open_source(place, access=settings.access, metrics=self._metrics)) as source:
            self._guards += source.guards if isinstance(source, Guarded) else ()
            first, last = settings.start_ledger or 1, settings.end_ledger or ""
            loop.run(
                source,
                tables=settings.tables,
                sinks=list(sinks.values()),
                options=DecodeOptions(network=self._network),
                ledgers=f"{first}:{last}" if settings.start_ledger or settings.end_ledger else None,
                limits=loop.Limits(commit_every=settings.db_flush_interval),
                stop=self._stop,
                progress=partial(self._progressed, sinks),
            )

    def _http(self) -> HealthServer:
        with listening(self._settings, "metrics_port"):
            return HealthServer(
                self._settings.metrics_port,
                [self],
                ready=self._ready,
                metrics=self._metrics.text,
                routes=[Route("/stats", self._stats_response)],
                **self._secured.http_doors,
            )

    def check(self) -> Check:
        """Say how the consumer is."""
        stats = self._together().to_dict()
        trouble = next((str(guard.last_error) for guard in self._guards if guard.last_error), "")
        return Check("consumer", self._has_begun and not trouble, trouble, stats, essential=not trouble)

    def _look(self) -> None:
        """Say by /ready whether rows can come in now."""
        is_away = self._outage.lasts(any(guard.last_error for guard in self._guards))
        (self._ready.clear if is_away else self._ready.set)()

    def _stats_response(self, _: Request) -> JSONResponse:
        tables = {name: stats.to_dict() for name, stats in self._stats.items()}
        return JSONResponse({**self._together().to_dict(), "tables": tables})

    def _together(self) -> Stats:
        return Stats.together(self._stats.values())

    def _progressed(self, sinks: Mapping[str, PostgresSink], state: loop.Progress) -> None:
        for name, stats in self._stats.items():
            rows = state.rows[name]
            self._counted.received.inc(max(0, rows - stats.records_received))  # fewer where it starts over
            stats.records_received = rows
            stats.last_ledger, stats.committed_ledger = state.last, state.committed
        if state.last_closed_at is not None:
            self._metrics.lags_behind(state.last_closed_at)
        for name, sink in sinks.items():
            self._gaps[name].look(sink.coverage)

    def _stored(self, table: str, flush: Flush) -> None:
        self._stats[table].batches_processed += 1
        self._stats[table].records_inserted += flush.rows
        self._counted.batches.inc()
        self._counted.inserted.inc(flush.rows)
        self._counted.seconds.observe(flush.seconds)
        self._counted.batch_size.set(flush.rows)
        kind = "source" if self._settings.source else "flight"
        if table == self._settings.tables[0]:  # each ledger counts once
            self._metrics.ledgers_processed.labels(kind, "success").inc(flush.ledgers.count)
        self._metrics.current_ledger.labels(kind).set(flush.ledgers.last)
        self._metrics.export_duration.labels(FORMAT).observe(flush.seconds)


def _failed(running: Iterable[Future[None]]) -> bool:
    return any(one.done() and one.exception() for one in running)


def _begun_network(settings: Settings) -> Network:
    """Return the network that is named, or that the source or the processor tells."""
    origin = settings.origin("network")
    if settings.source:
        location = settings.source
        return network_of(
            settings.network,
            origin,
            lambda policy: registry.open_source(location, access=settings.access, policy=policy),
            name=redacted_url(location),
        )
    named = Network.of(settings.network) if settings.network else None
    stream = FlightTable(
        settings.flight_endpoint,
        settings.tables[0],
        credentials=settings.access.source,
        secure=settings.is_secure,
    )
    try:
        told = stream.network()
    except SourceUnavailable as error:
        if named is None:
            raise ConfigError(
                f"the network is not set, and who would tell it is away ({error}): {NAME_IT}, or start"
                " that first"
            ) from error
        _log.warning("%s; waiting for it", error)
        return named
    return agreed(named, told, origin=origin, name=stream.name)


def database_url(settings: Settings) -> str:
    """Return the database's URL, whole or out of its parts."""
    if settings.database_url:
        return settings.database_url
    login = quote(settings.db_user, safe="")
    if settings.db_password:
        login += ":" + quote(settings.db_password, safe="")
    host = quote(settings.db_host, safe="")
    return (
        f"postgresql://{login}@{host}:{settings.db_port}/{quote(settings.db_name, safe='')}"
        f"?sslmode={settings.db_sslmode}"
    )
