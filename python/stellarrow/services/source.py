"""The source service: a relay, what it is reached by, and its life."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from stellarrow.config import Source as Settings
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.net.address import Address
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.protocols import Guarded, Named, Source
from stellarrow.servers.http import HealthServer, guards_of
from stellarrow.servers.raw.flight import RawLedgerFlight
from stellarrow.servers.raw.grpc import RawLedgerServer
from stellarrow.servers.raw.relay import Relay
from stellarrow.servers.raw.verified import SoundLedgers
from stellarrow.services.flowctl import Registration, Service
from stellarrow.services.secured import Secured
from stellarrow.services.starting import listening
from stellarrow.telemetry.beside import Beside
from stellarrow.telemetry.health import Check, Outage, Part
from stellarrow.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from stellarrow.services.flowctl import Registration

_DRAIN_SECONDS: Final = 6.0  # the process must have ended after ten


def _offered(settings: Settings, source: Source) -> LedgerRange | None:
    """Return what the settings say of the ledgers that readers are told of."""
    if not (settings.start_ledger or settings.end_ledger):
        return None
    times = CloseTimes.of_source(source) if settings.by_date else None
    asked = f"{settings.start_ledger or 1}:{settings.end_ledger or ''}"
    return LedgerRange.parse(asked, known=source.available if times else None, times=times)


class SourceService:
    """The relay and what it is reached by; where another service says how it is, at that one's address."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        network: Network,
        metrics: Metrics,
        *,
        health: Address | None = None,
    ) -> None:
        kind = type(source).__name__.removesuffix("Source").lower()
        self.url = redacted_url(source.name if isinstance(source, Named) else kind)
        letters = DeadLetters(settings.state_dir / "dead-letters", job={"service": "source"})
        self._source = source
        self._ready = threading.Event()
        self._outage = Outage()
        took = metrics.processing_duration.labels(kind, "check").observe
        sound = SoundLedgers(source, network=network, letters=letters, took=took)
        budget = settings.max_memory_mb << 20
        self._relay = Relay(
            source,
            sound,
            source_type=kind,
            budget=budget,
            metrics=metrics,
            offered=_offered(settings, source),
        )
        with ExitStack() as stack:
            self._secured = secured = Secured(settings, settings.state_dir, metrics)
            stack.callback(secured.close)
            self._listen(stack, settings, kind, network)
            parts = [*self._relay.components, *guards_of(source)]
            if settings.flowctl_enabled:
                parts.append(Part(self._registered))
            self.beside = Beside("source", parts, self._ready, metrics.text)
            self._http = None if health else self._own_http(stack, settings)
            self._health = self._http.address if self._http else health
            self._flowctl = self._registration(settings) if settings.flowctl_enabled else None
            if self._flowctl:
                stack.callback(self._flowctl.close)
            self._doors = stack.pop_all()

    def _own_http(self, stack: ExitStack, settings: Settings) -> HealthServer:
        shown = self.beside
        with listening(settings, "health_port"):
            made = HealthServer(
                settings.health_port,
                shown.components,
                ready=shown.ready,
                metrics=shown.metrics,
                **self._secured.http_doors,
            )
        stack.callback(made.close)
        return made

    def _listen(self, stack: ExitStack, settings: Settings, kind: str, network: Network) -> None:
        doors = self._secured.doors
        with listening(settings, "grpc_address"):
            self._grpc = RawLedgerServer(settings.grpc_address, self._relay, network=network, **doors)
        stack.callback(self._grpc.close)
        with listening(settings, "flight_address"):
            self._flight = RawLedgerFlight(
                settings.flight_address,
                self._relay,
                source_type=kind,
                source_url=self.url,
                network=network,
                **doors,
            )
        stack.callback(self._flight.close)

    @property
    def addresses(self) -> str:
        own = f"gRPC {self._grpc.address}, Flight {self._flight.address}"
        return f"{own}, HTTP {self._http.address}" if self._http else own

    def start(self) -> None:
        self._relay.start()
        if self._http:
            self._http.start()
        self._grpc.start()
        if self._flowctl:
            self._flowctl.start()

    def look(self) -> None:
        """Say whether ledgers can be had; to be called again and again."""
        is_away = self._outage.lasts(self._relay.is_away or self._no_server_answers())
        is_ready = self._relay.ready and not is_away
        if is_ready is not self._ready.is_set():
            (self._ready.set if is_ready else self._ready.clear)()
            self._grpc.serving(is_ready)

    def _no_server_answers(self) -> bool:
        guards = self._source.guards if isinstance(self._source, Guarded) else ()
        return bool(guards) and all(guard.last_error for guard in guards)

    def drain(self) -> bool:
        """End every stream at a ledger, while health says that no more may come; tell whether all ended."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        self._ready.clear()
        self._grpc.serving(False)
        self._relay.close()
        self._source.close()
        self._grpc.close(_DRAIN_SECONDS)
        return self._flight.close(max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        self._relay.close()
        self._doors.close()

    def _registered(self) -> Check:
        trouble = self._flowctl.trouble if self._flowctl else ""
        return Check("flowctl", not trouble, trouble, essential=False)

    def _registration(self, settings: Settings) -> Registration:
        from stellarrow.services.flowctl import Registration  # noqa: PLC0415  few use it

        named = settings.flowctl_component_id
        answer = Service(
            id=named or f"stellarrow-source-{socket.gethostname()}-{os.getpid()}",
            kind="SOURCE",
            takes=(),
            gives=("raw_ledger_service.RawLedger", "stellar.LedgerCloseMeta"),
            health=f"{'https' if settings.tls_certificate else 'http'}://{self._health}/health",
            component_id=named or "",
            metadata={
                "grpc_endpoint": str(self._grpc.address),
                "flight_endpoint": str(self._flight.address),
            },
        )
        interval = settings.flowctl_heartbeat_interval
        return Registration(
            settings.flowctl_endpoint, answer, interval=interval, measure=self._relay.measured
        )
