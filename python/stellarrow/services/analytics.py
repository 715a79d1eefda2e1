"""The analytics service: tables hot and stored, what brings newer ledgers, REST, health, and its life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, Final

from stellarrow import registry
from stellarrow.analysis.reads.figures import KeptFigures
from stellarrow.analysis.reads.following import Follower, ProcessorFollower, SourceFollower, Stream
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.stored import Stored
from stellarrow.config import Analytics as Settings
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.core.tables import table
from stellarrow.errors import ConfigError, SourceError, Unavailable
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline import loop
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.security.audit_log import NoAudit
from stellarrow.servers.analytics_exports.exporter import Exporter
from stellarrow.servers.analytics_exports.exporter import Settings as Exporting
from stellarrow.servers.analytics_flight import AnalyticsFlight
from stellarrow.servers.analytics_http.aging import aging_routes
from stellarrow.servers.analytics_http.exports import export_routes
from stellarrow.servers.analytics_http.query import Queries
from stellarrow.servers.analytics_http.routes import routes as rest_routes
from stellarrow.servers.analytics_live import Channels
from stellarrow.servers.analytics_ws.endpoint import websocket_route
from stellarrow.servers.analytics_ws.limits import Doors, Limits
from stellarrow.servers.http import HealthServer, guards_of
from stellarrow.services.aging import AgingPlace, check_schedule
from stellarrow.services.secured import Secured, open_audit
from stellarrow.services.starting import agreed, listening
from stellarrow.services.table_feed import TableFeed
from stellarrow.telemetry.beside import Beside
from stellarrow.telemetry.health import Check, Outage, Part
from stellarrow.telemetry.metrics import Metrics

_LOOK_SECONDS: Final = 0.5  # between looks at what is stored
_log: Final = logging.getLogger("stellarrow.analysis")


class AnalyticsService:
    """The tables and what they are reached by; made, it listens on every address.

    `streams` are a processor's in this process, instead of one that the settings name. Then the stored tables
    may be yet to come, and the port for health is another service's.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        streams: Mapping[str, Stream] | None = None,
        network: Network | None = None,
    ) -> None:
        self._settings = settings
        self._is_within = streams is not None
        self._ready = threading.Event()
        self._outage = Outage()
        self._metrics = Metrics()
        self._looked = 0.0
        with ExitStack() as stack:
            self._secured = Secured(settings, settings.state_dir, self._metrics)
            stack.callback(self._secured.close)
            stored = self._stored(stack)
            names = [*streams] if streams is not None else None
            self.tables = self._tables(stored, network or self._network(stored), names)
            stack.callback(self.tables.close)
            self._figures = KeptFigures(self.tables, most_bytes=settings.analytics_mb << 20)
            stack.callback(self._figures.close)
            self._queries = Queries(self.tables)
            stack.callback(self._queries.close)
            self._exporter = Exporter(self.tables, self._exporting(), self._metrics)
            stack.callback(self._exporter.close)
            most, of_one = settings.max_connections, settings.max_connections_per_ip
            self._sockets = Doors(Limits(most, of_one, settings.connection_timeout, settings.idle_timeout))
            self._feeds = [self._fed(place, stack) for place in settings.exported]
            self._aging = self._ages(stack)
            self._follower = self._following(streams)
            if self._follower:
                stack.callback(self._follower.close)
            self._listen(stack)
            self._doors = stack.pop_all()

    def _fed(self, place: str, stack: ExitStack) -> TableFeed:
        """Return what feeds a sink; stored tables of a filter would be written as if all rows were there."""
        stored = self.tables.stored.tables.values() if self.tables.stored else ()
        if any(one.listing.shape.facts["filter"] for one in stored):
            raise ConfigError(
                f"{redacted_url(self._settings.data or '')} has only the rows of a filter: extract into"
                f" {redacted_url(place)} instead"
            )
        feed = TableFeed(self.tables, place, self._metrics)
        stack.callback(feed.close)
        return feed

    def _exporting(self) -> Exporting:
        settings = self._settings
        path = settings.export_path or settings.state_dir / "exports"
        return Exporting(path=path, most_bytes=settings.export_mb << 20, age=settings.export_age)

    def _stored(self, stack: ExitStack) -> Stored | None:
        settings = self._settings
        if not settings.data:
            return None
        is_all = settings.is_stored_alone and not self._is_within and "tables" not in settings.origins
        wanted = None if is_all else self._names()
        within = self._is_within
        kept = settings.page_bytes(is_within=within)
        stored = Stored(settings.data, wanted, may_come=within, in_order=True, most_bytes=kept)
        return stack.enter_context(closing(stored))

    def _ages(self, stack: ExitStack) -> AgingPlace | None:
        settings = self._settings
        if not settings.data:
            check_schedule(settings)
            return None
        audit = self._secured.audit
        if audit is None:
            audit = open_audit(settings, settings.state_dir) if settings.schedule else NoAudit()
            stack.callback(audit.close)
        made = AgingPlace(settings, settings.data, metrics=self._metrics, audit=audit)
        stack.callback(made.close)
        return made

    def _names(self) -> list[str]:
        """Return the tables that the settings name; a ConfigError where one is not the newest version."""
        names = []
        for asked in self._settings.tables:
            meant = table(asked)
            if str(meant) != str(table(meant.name)):
                raise ConfigError(f"{asked} is an older version: name {meant.name}, which has its columns")
            names.append(meant.name)
        if not names:
            raise ConfigError(f"{self._settings.origin('tables')} is empty: name at least one table")
        return list(dict.fromkeys(names))

    def _tables(self, stored: Stored | None, network: Network | None, streamed: list[str] | None) -> Tables:
        settings = self._settings
        alone = settings.is_stored_alone and streamed is None
        names = streamed or (sorted(stored.tables) if alone and stored else self._names())
        if not names:
            raise ConfigError(f"{settings.data} holds no table that is served: extract one into it first")
        hot = Hot(() if alone else names, most_bytes=settings.row_bytes(is_within=self._is_within))
        return Tables(names, hot=hot, stored=stored, network=network)

    def _network(self, stored: Stored | None) -> Network | None:
        """Return the network that is named or told; one that nobody tells yet is left open."""
        settings = self._settings
        named = Network.of(settings.network) if settings.network else None
        told = Network.from_passphrase(stored.network) if stored and stored.network else None
        name = redacted_url(settings.data) if settings.data else ""
        known = agreed(named, told, origin=settings.origin("network"), name=name) if told else named
        if settings.is_stored_alone:
            return known
        if settings.source:
            with closing(self._open_source()) as source:
                return registry.find_network(source, str(known.written) if known else None)
        try:
            told = self._flight("ledgers", None).network()
        except (SourceError, Unavailable) as error:
            _log.warning("%s; waiting for it", error)
            return known
        endpoint = f"the processor at {settings.source_endpoint}"
        return agreed(known, told, origin=settings.origin("network"), name=endpoint) if told else known

    def _open_source(self) -> Any:
        settings = self._settings
        return registry.open_source(
            settings.source, network=settings.network, access=settings.access, metrics=self._metrics
        )

    def _flight(self, name: str, network: Network | None) -> FlightTable:
        settings = self._settings
        return FlightTable(
            settings.source_endpoint,
            name,
            network=network,
            credentials=settings.access.source,
            secure=settings.is_secure,
        )

    def _following(self, streams: Mapping[str, Stream] | None) -> Follower | None:
        settings, tables = self._settings, self.tables
        if settings.is_stored_alone and streams is None:
            return None
        if settings.source and streams is None:
            return self._from_source(tables.network)
        name = "in this process" if streams is not None else str(settings.source_endpoint)
        found = streams or {one: self._flight(one, tables.network) for one in tables.names}
        return ProcessorFollower(tables, found, name=name, metrics=self._metrics)

    def _from_source(self, network: Network | None) -> SourceFollower:
        settings = self._settings
        if network is None:
            raise ConfigError("the network is not set: give --network, such as pubnet")
        return SourceFollower(
            self.tables,
            self._open_source,
            network=network,
            ledgers=self._asked() if settings.start_ledger else None,
            limits=loop.Limits(settings.worker_count, settings.max_memory_mb),
            name=redacted_url(settings.source or ""),
            metrics=self._metrics,
        )

    def _asked(self) -> LedgerSet:
        with closing(self._open_source()) as source:
            times = CloseTimes.of_source(source)
            text = self._settings.ledgers_asked
            return LedgerSet([LedgerRange.parse(text, known=source.available, times=times)])

    def _listen(self, stack: ExitStack) -> None:
        settings, doors = self._settings, self._secured.http_doors
        shown: dict[str, Any] = {"ready": self._ready, "metrics": self._metrics.text}
        shown["sockets"] = settings.max_connections
        with listening(settings, "rest_port"):
            self.rest = HealthServer(
                settings.rest_port,
                self.components,
                routes=[*self._routes(), self._socket()],
                **shown,
                **doors,
            )
        stack.callback(self.rest.close)
        with listening(settings, "websocket_port"):
            self.websocket = HealthServer(
                settings.websocket_port, self.components, routes=[self._socket()], **shown, **doors
            )
        stack.callback(self.websocket.close)
        with listening(settings, "flight_address"):
            self.flight = AnalyticsFlight(
                settings.flight_address, self.tables, self._figures, self._queries, **self._secured.doors
            )
        stack.callback(self.flight.close)
        self.http: HealthServer | None = None
        if not self._is_within:
            with listening(settings, "health_port"):
                self.http = HealthServer(settings.health_port, self.components, **shown, **doors)
            stack.callback(self.http.close)

    def _routes(self) -> list[Any]:
        aging, access = self._aging, self._secured.access
        asked = (self.tables, self._figures, Channels(self.tables), self._queries, self._told)
        return rest_routes(
            *asked,
            exports=export_routes(self._exporter, access),
            aging=aging_routes(aging, access) if aging and access else (),
            is_open=access is None,
        )

    def _socket(self) -> Any:
        channels = Channels(self.tables, self._figures)  # in the event loop of one listener
        return websocket_route(channels, self._sockets, self._secured.access, self._settings.cors_origins)

    @property
    def components(self) -> list[Part]:
        """What /health shows."""
        aging = [Part(self._aging.check)] if self._aging else []
        fed = [Part(one.check) for one in self._feeds]
        own = [Part(self._check_following), Part(self._check_tables), *fed, *aging]
        return [*own, *map(_part, guards_of(self._follower))]

    @property
    def beside(self) -> Beside:
        """What another service of the process shows of this one."""
        return Beside("analytics", self.components, self._ready, self._metrics.text)

    @property
    def addresses(self) -> str:
        health = f", HTTP {self.http.address}" if self.http else ""
        own = f"REST {self.rest.address}, WebSocket {self.websocket.address}, Flight {self.flight.address}"
        return f"{own}{health}"

    def start(self) -> None:
        """Follow newer ledgers, and answer."""
        self._figures.start()
        self._exporter.start()
        for feed in self._feeds:
            feed.start()
        if self._follower:
            self._follower.start()
        if self._aging:
            self._aging.start()
        self.rest.start()
        self.websocket.start()
        if self.http:
            self.http.start()
        self._ready.set()

    def look(self) -> None:
        """Look what is stored now, and whether newer ledgers come; to be called again and again."""
        began = time.monotonic()
        if began - self._looked >= _LOOK_SECONDS:
            try:
                self.tables.look()
            except Unavailable as error:
                _log.warning("%s", error)
            # A place that takes long to list is looked at less often.
            self._looked = time.monotonic() + 10 * (time.monotonic() - began)
        is_ready = not self._outage.lasts(self._lacks_all())
        if is_ready is not self._ready.is_set():
            (self._ready.set if is_ready else self._ready.clear)()

    def drain(self) -> bool:
        """Take no more ledgers, and say that no more questions may come."""
        self._ready.clear()
        if self._follower:
            self._follower.close()
        if self._aging:
            self._aging.close()
        self._figures.close()
        self._exporter.close()
        for feed in self._feeds:
            feed.close()
        self.tables.close()
        return self.flight.close()

    def close(self) -> None:
        self._doors.close()

    def _lacks_all(self) -> bool:
        """Tell whether nothing can be answered: no ledger is here, and none comes."""
        has_some = any(self.tables.snapshot(name).as_of for name in self.tables.names)
        return not has_some and bool(self._follower and self._follower.trouble)

    def _told(self) -> Mapping[str, Any]:
        return self._follower.to_dict() if self._follower else {}

    def _check_following(self) -> Check:
        trouble = self._follower.trouble if self._follower else ""
        return Check("following", not trouble, trouble, essential=False)

    def _check_tables(self) -> Check:
        metrics = {name: self.tables.snapshot(name).as_of for name in self.tables.names}
        return Check("tables", True, "", {**metrics, "hot_bytes": self.tables.hot.size_bytes})


def _part(component: Any) -> Part:
    return Part(partial(component.check))
