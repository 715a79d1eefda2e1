"""The processor service: the engine, what it is reached by, and its life."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from stellarrow import registry
from stellarrow.config import Processor as Settings
from stellarrow.config.saved_queries import catalogue
from stellarrow.core.tables import table_names
from stellarrow.errors import ConfigError, StellarrowError, Unavailable
from stellarrow.filter import Filter
from stellarrow.forwarding.forwarder import Forwarder
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline.dead_letters import FOLDER
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.shared_sessions import SharedSessions
from stellarrow.processor.typed_sessions import TypedSessions
from stellarrow.records.opening import open_records
from stellarrow.records.proof import prove
from stellarrow.scanning.spec_places import full_name, given_specs, knowledge_of, pairs
from stellarrow.servers import processor_http
from stellarrow.servers.http import HealthServer
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.servers.processor_grpc import ControlServer
from stellarrow.services.asked_ledgers import all_of_source, asked_ledgers
from stellarrow.services.secured import Secured
from stellarrow.services.starting import listening, network_of
from stellarrow.spool.retention import Retention
from stellarrow.telemetry.health import Check, Outage
from stellarrow.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from stellarrow.services.flowctl import Registration

_log: Final = logging.getLogger("stellarrow.processor")
_SOURCE_FLIGHT_PORT: Final = 8815
_FOLLOW_SECONDS: Final = 1.0  # between tries to learn what the source has
_DRAIN_SECONDS: Final = 6.0  # of the ten that orchestrators give
_TAKES: Final = ("raw_ledger_service.RawLedger", "stellar.LedgerCloseMeta")
_GIVES: Final = ("contract_data.ArrowBatch",)


class ProcessorService:
    """The processor and what it is reached by; made, it listens on every address."""

    def __init__(self, settings: Settings) -> None:
        options = _checked(settings)
        location = settings.source or _endpoint(settings)
        self.source = redacted_url(location)
        open_source = partial(
            registry.open_source, location, network=settings.network, access=settings.access
        )
        network = network_of(
            settings.network,
            settings.origin("network"),
            lambda policy: open_source(policy=policy),
            name=self.source,
        )
        self._settings = settings
        self._ready = threading.Event()
        self._has_drained = False
        self._outage = Outage()
        metrics = Metrics()
        with ExitStack() as stack:
            self._secured = Secured(settings, settings.state_dir, metrics)
            stack.callback(self._secured.close)
            self.processor = Processor(
                lambda: open_source(metrics=metrics),
                replace(options, network=network),
                kind=location.partition("://")[0] if "://" in location else "files",
                metrics=metrics,
                shared=_shared(settings, network),
            )
            stack.callback(self._end)
            self._listen(stack)
            self._forwarder = self._forwarding()
            self._flowctl = _Flowctl(settings, self) if settings.flowctl_enabled else None
            self.http = self._http()
            stack.callback(self.http.close)
            if self._flowctl:
                stack.callback(self._flowctl.close)
            self._doors = stack.pop_all()
        self.processor.listens_on(self.addresses)

    def _listen(self, stack: ExitStack) -> None:
        settings, doors = self._settings, self._secured.doors
        with listening(settings, "grpc_address"):
            self.grpc = ControlServer(settings.grpc_address, self.processor, **doors)
        stack.callback(self.grpc.close)
        with listening(settings, "flight_address"):
            self.flight = FlightServer(settings.flight_address, self.processor, **doors)
        stack.callback(self.flight.close)

    def _http(self) -> HealthServer:
        parts = processor_http.components(self.processor)
        with listening(self._settings, "health_port"):
            return HealthServer(
                self._settings.health_port,
                [*parts, *(one for one in (self._flowctl, self._forwarder) if one)],
                ready=self._ready,
                metrics=lambda: processor_http.metrics(self.processor),
                routes=processor_http.routes(self.processor, self._secured.access),
                **self._secured.http_doors,
            )

    def _forwarding(self) -> Forwarder | None:
        settings = self._settings
        if not (endpoint := settings.output_endpoint):
            return None
        if "://" not in endpoint:
            endpoint = f"flight{'s' if settings.is_secure else ''}://{endpoint}"
        if endpoint.startswith("grpc"):
            raise ConfigError(f"{settings.origin('output_endpoint')} is {endpoint}: tables go to flight://")
        return Forwarder(self.processor, endpoint, credentials=settings.access.source)

    @property
    def addresses(self) -> str:
        return f"gRPC {self.grpc.address}, Flight {self.flight.address}, HTTP {self.http.address}"

    def start(self) -> None:
        """Let sessions go on, begin the one the settings want, and answer."""
        self.processor.resume()
        self._begin_session()
        if self._forwarder:
            self._forwarder.start()
        self.http.start()
        self.grpc.start()
        if self._flowctl:
            self._flowctl.start()
        self._ready.set()

    def look(self) -> None:
        """Say whether sessions get what they ask the source for; to be called again and again."""
        is_away = any(work.source_trouble for work in self.processor.works())
        is_ready = not self._outage.lasts(is_away)
        if is_ready is not self._ready.is_set():
            (self._ready.set if is_ready else self._ready.clear)()
            self.grpc.serving(is_ready)

    def drain(self) -> bool:
        """End every stream at a ledger and every session for now, while health says that no more may come.

        Tell whether every client has let go; one that takes nothing keeps the interpreter from its end.
        """
        deadline = time.monotonic() + _DRAIN_SECONDS
        self._ready.clear()
        self.grpc.serving(False)
        self.processor.drain()
        if self._forwarder:
            self._forwarder.close()
        all_let_go = self.flight.close()
        self.processor.close(within=max(0.5, deadline - time.monotonic()))
        self._has_drained = True
        if not all_let_go:
            _log.warning("a client takes nothing: ending without it")
        return all_let_go

    def close(self) -> None:
        self._doors.close()

    def _end(self) -> None:
        """Let go of the engine; who had the time to drain is not waited for again."""
        self.processor.close(within=0 if self._has_drained else _DRAIN_SECONDS)

    def _begin_session(self) -> None:
        """Begin what START_LEDGER asks for, unless an earlier start has."""
        if not self._settings.start_ledger:
            if self._settings.follow_source:
                self._later(self._follow_source)
            return
        asked = asked_ledgers(self._settings, lambda: closing(self.processor.open_source()))
        try:
            self._begin(asked)
        except Unavailable as error:
            if self.processor.replicas is None:
                raise
            _log.warning("%s; the session begins when it is back", error)
            self._later(partial(self._begin_when_shared, asked))

    def _begin_when_shared(self, asked: LedgerRange) -> None:
        while not self.processor.draining.wait(_FOLLOW_SECONDS):
            with suppress(Unavailable):
                self._begin(asked)
                return

    def _later(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name="stellarrow-follow", daemon=True).start()

    def _begin(self, asked: LedgerRange) -> None:
        if not self.processor.has(asked):
            self.processor.start(asked.first, asked.last or 0, patient=True, once=True)

    def _follow_source(self) -> None:
        """Begin a session of all the source has, once it tells."""
        told = ""
        while not self.processor.draining.is_set():
            try:
                with closing(self.processor.open_source()) as source:
                    ledgers = all_of_source(self._settings.state_dir, source)
                for part in ledgers:
                    self._begin(part)
                if ledgers:
                    return
            except StellarrowError as error:
                if str(error) != told:
                    _log.warning("%s; no session begins before it tells which ledgers it has", error)
                told = str(error)
            self.processor.draining.wait(_FOLLOW_SECONDS)


class _Flowctl:
    """The optional control plane as a part of the service, which it learns of once that listens."""

    def __init__(self, settings: Settings, service: ProcessorService) -> None:
        self._settings = settings
        self._service = service
        self._registration: Registration | None = None

    def start(self) -> None:
        from stellarrow.services.flowctl import Registration, Service  # noqa: PLC0415  few use it

        settings, service = self._settings, self._service
        scheme = "https" if settings.tls_certificate else "http"
        name = settings.flowctl_component_id or f"stellarrow-processor-{socket.gethostname()}-{os.getpid()}"
        answer = Service(
            id=name,
            kind="PROCESSOR",
            takes=_TAKES,
            gives=_GIVES,
            health=f"{scheme}://{service.http.address}/health",
            component_id=settings.flowctl_component_id or "",
            metadata={
                "flight_endpoint": str(service.flight.address),
                "grpc_endpoint": str(service.grpc.address),
            },
        )
        self._registration = Registration(
            settings.flowctl_endpoint,
            answer,
            interval=settings.flowctl_heartbeat_interval,
            measure=self._measured,
        )
        self._registration.start()

    def close(self) -> None:
        if self._registration:
            self._registration.close()

    def check(self) -> Check:
        trouble = self._registration.trouble if self._registration else "not registered yet"
        return Check("flowctl", not trouble, trouble, essential=False)

    def _measured(self) -> dict[str, float]:
        works = self._service.processor.works()
        active = [work for work in works if not work.session.status.is_final]
        return {
            "active_sessions": float(len(active)),
            "entries_per_second": sum(work.rate.per_second for work in active),
            "entries_processed": float(sum(work.session.counts.entries for work in works)),
            "current_ledger": float(max((work.session.current for work in works), default=0)),
        }


def _endpoint(settings: Settings) -> str:
    """Return the source's URL; without a scheme it speaks gRPC, but Flight at Flight's own port."""
    endpoint = settings.source_endpoint
    if "://" in endpoint:
        return endpoint
    scheme = "flight" if endpoint.endswith(f":{_SOURCE_FLIGHT_PORT}") else "grpc"
    return f"{scheme}{'s' if settings.is_secure else ''}://{endpoint}"


def _shared(settings: Settings, network: Network) -> SharedSessions | None:
    """Open what replicas share, and let its place prove that it compares before it writes."""
    if not settings.shared_state:
        return None
    records = open_records(settings.shared_state)
    try:
        prove(records)
    except Unavailable as error:
        _log.warning("%s; what is known here goes on", error)
    return SharedSessions(records, network=network)


def _checked(settings: Settings) -> Options:
    """Refuse what cannot work before anything is opened."""
    if settings.end_ledger and not settings.start_ledger:
        raise ConfigError(
            f"{settings.origin('end_ledger')} is {settings.end_ledger}: give --start-ledger too"
        )
    options = _options(settings)
    options.check()
    return options


def _typed(settings: Settings, tables: Sequence[str]) -> tuple[tuple[str, ...], TypedSessions | None]:
    """Return the tables by their whole names, and what makes contracts' own among them."""
    names = pairs("CONTRACT_NAMES", settings.name)
    asked = [full_name(one, names) for one in tables]
    given = given_specs(settings.spec, names)
    knowing = partial(knowledge_of, spec=given, specs=settings.specs)
    typed = TypedSessions.of(asked, knowing, settings.state_dir)
    return (typed.expanded(asked) if typed else tuple(asked)), typed


def _options(settings: Settings) -> Options:
    tables, typed = _typed(settings, table_names(",".join(settings.tables)))
    return Options(
        state_dir=settings.state_dir,
        tables=tables,
        typed=typed,
        network=Network.of(settings.network) if settings.network else None,
        where=Filter(
            contract_ids=settings.filter_contract_ids,
            asset_codes=(*settings.filter_asset_codes, *settings.include_assets),
            asset_issuers=settings.filter_asset_issuers,
            event_types=settings.event_types,
            include_deleted=settings.include_deleted,
        ),
        batch_size=settings.batch_size,
        workers=settings.worker_count,
        memory_mb=settings.max_memory_mb,
        figures_mb=settings.analytics_mb,
        retention=Retention(
            size_bytes=settings.spool_mb << 20,
            age=settings.spool_age,
            patience=settings.reader_patience,
            named_patience=settings.named_reader_patience,
        ),
        queries=catalogue(settings.file),
        query_cache_mb=settings.query_cache_mb,
        dead_letters=settings.state_dir / FOLDER if settings.on_error == "quarantine" else None,
    )
