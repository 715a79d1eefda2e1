"""What `sink postgres serve` is made of: the stream, the sink, HTTP."""

from __future__ import annotations

import logging
import threading
from contextlib import closing
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stellarrow import pipeline, places
from stellarrow.config import Consumer as Settings
from stellarrow.consumer import FORMAT, Consumer, ConsumerMetrics, Stats
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.metrics import Metrics
from stellarrow.resilience import Guard, Policy
from stellarrow.servers.health import Check, HealthServer
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.sink import Flush
from stellarrow.sources.flight import FlightTable

_TABLE: Final = "contract_data"
_log: Final = logging.getLogger("stellarrow.sink")


class SinkService:
    """One consumer, from its settings to its end."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        if settings.network is None:
            raise ConfigError(
                "the network is not set: give --network or NETWORK_PASSPHRASE, pubnet or a passphrase"
            )
        self._settings = settings
        self._network = Network.of(settings.network)
        self._stop = stop
        self._metrics = Metrics()
        self._counted = ConsumerMetrics(self._metrics)
        self._stats = Stats()
        self._ready = threading.Event()

    def run(self) -> None:
        """Return when told to stop, or when the end ledger is reached."""
        settings = self._settings
        policy = Policy(attempts=settings.max_retries + 1)
        with (
            closing(self._http()) as http,
            closing(
                PostgresSink(
                    database_url(settings),
                    [_TABLE],
                    network=self._network,
                    batch_rows=settings.db_batch_size,
                    mode="live",
                    policy=policy,
                    metrics=self._metrics,
                    watch=self._stored,
                )
            ) as sink,
        ):
            http.start()
            self._ready.set()
            _log.info("consuming %s, HTTP on %s", settings.source or settings.flight_endpoint, http.address)
            try:
                self._bring(sink)
            finally:
                self._ready.clear()
        _log.info("stopped; ledger %s is durable", self._stats.committed_ledger)

    def _bring(self, sink: PostgresSink) -> None:
        settings = self._settings
        if settings.source:
            self._bring_source(sink)
            return
        if settings.end_ledger and not settings.start_ledger:
            raise ConfigError(f"end_ledger is {settings.end_ledger}: name start_ledger too")
        stream = FlightTable(settings.flight_endpoint, _TABLE)
        first, last = settings.start_ledger, settings.end_ledger or None
        guard = Guard(
            stream.name, Policy(attempts=None, failures_to_open=1_000), metrics=self._metrics, stop=self._stop
        )
        Consumer(
            stream,
            sink,
            table=_TABLE,
            flush_interval=settings.db_flush_interval,
            guard=guard,
            stop=self._stop,
            metrics=self._counted,
            stats=self._stats,
            ledgers=LedgerRange(first, last) if first else None,
        ).run()

    def _bring_source(self, sink: PostgresSink) -> None:
        """Decode here what a source has, without a processor."""
        settings = self._settings
        with closing(places.open_source(settings.source, metrics=self._metrics)) as source:
            ledgers = LedgerRange(settings.start_ledger or 1, settings.end_ledger or None)
            pipeline.run(
                source,
                tables=[_TABLE],
                sinks=[sink],
                network=self._network,
                ledgers=ledgers if settings.start_ledger or settings.end_ledger else None,
                commit_every=settings.db_flush_interval,
                stop=self._stop,
                progress=self._progressed,
            )

    def _http(self) -> HealthServer:
        return HealthServer(
            self._settings.metrics_port,
            [self],
            ready=self._ready,
            metrics=self._metrics.text,
            routes=[Route("/stats", self._told)],
        )

    def check(self) -> Check:
        """Say how the consumer is."""
        stats = self._stats.told()
        healthy = self._ready.is_set()
        return Check("consumer", healthy, str(stats["last_error"] or ""), stats)

    def _told(self, _: Request) -> JSONResponse:
        return JSONResponse(self._stats.told())

    def _progressed(self, state: pipeline.Progress) -> None:
        rows = state.rows[_TABLE]
        self._counted.received.inc(max(0, rows - self._stats.records_received))  # fewer where it starts over
        self._stats.records_received = rows
        self._stats.last_ledger, self._stats.committed_ledger = state.last, state.committed
        if state.last_closed_at is not None:
            self._metrics.lags_behind(state.last_closed_at)

    def _stored(self, flush: Flush) -> None:
        self._stats.batches_processed += 1
        self._stats.records_inserted += flush.rows
        self._counted.batches.inc()
        self._counted.inserted.inc(flush.rows)
        self._counted.seconds.observe(flush.seconds)
        self._counted.batch_size.set(flush.rows)
        kind = "source" if self._settings.source else "flight"
        self._metrics.ledgers_processed.labels(kind, "success").inc(flush.ledgers.count)
        self._metrics.current_ledger.labels(kind).set(flush.ledgers.last)
        self._metrics.export_duration.labels(FORMAT).observe(flush.seconds)


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
