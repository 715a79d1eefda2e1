"""What `sink serve` is made of: a Flight that takes tables, streams that fetch them, sinks, HTTP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from stellarrow import registry
from stellarrow.config import SinkServer as Settings
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.core.tables import table, table_names
from stellarrow.errors import ConfigError, SourceUnavailable
from stellarrow.ledgers import Network
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Guard, Policy
from stellarrow.protocols import Sink
from stellarrow.receiving.fetching import Fetching
from stellarrow.receiving.intake import Intake
from stellarrow.receiving.pushed import Pushed
from stellarrow.receiving.tokens import Tokens
from stellarrow.servers.http import HealthServer
from stellarrow.servers.receiving import ReceivingServer
from stellarrow.services.secured import Secured
from stellarrow.services.starting import agreed, listening
from stellarrow.telemetry.gaps import Gap
from stellarrow.telemetry.health import Check, Outage, Part
from stellarrow.telemetry.metrics import Metrics

_log: Final = logging.getLogger("stellarrow.sink")
_KIND: Final = "flight"  # of what comes, in metrics


class SinkServer:
    """Tables into sinks, from its settings to its end; made, it listens on every address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = [table(name).name for name in table_names(",".join(settings.tables))]
        self.places = settings.places
        if not self.places:
            raise ConfigError("there is no sink: give --to, such as parquet:FOLDER, or --parquet-path")
        registry.check_apart(self.places)
        self._network = self._told_network()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._outage = Outage()
        self._metrics = Metrics()
        self.intakes = {name: self._intake(name) for name in self._names}
        named = ", ".join(map(redacted_url, self.places))
        self._gaps = {name: Gap(self._metrics, named, name) for name in self._names}
        self._fetching = self._fetches()
        with ExitStack() as stack:
            stack.callback(self._close_sinks)
            for intake in self.intakes.values():
                intake.covered()  # a place that cannot be reached, or is of something else, is told now
            self._secured = Secured(settings, settings.state_dir, self._metrics)
            stack.callback(self._secured.close)
            self._listen(stack)
            self._doors = stack.pop_all()

    def _listen(self, stack: ExitStack) -> None:
        settings = self._settings
        with listening(settings, "flight_address"):
            self.flight = ReceivingServer(
                settings.flight_address,
                self.intakes,
                interval=settings.commit_interval,
                stopping=self._stop,
                **self._secured.doors,
            )
        stack.callback(self.flight.close)
        with listening(settings, "health_port"):
            self.http = HealthServer(
                settings.health_port,
                [Part(self._check), *(Part(partial(_fetched, one)) for one in self._fetching)],
                ready=self._ready,
                metrics=self._metrics.text,
                **self._secured.http_doors,
            )
        stack.callback(self.http.close)

    @property
    def addresses(self) -> str:
        return f"Flight {self.flight.address}, HTTP {self.http.address}"

    def start(self) -> None:
        """Fetch, where that was asked for, and answer."""
        for one in self._fetching:
            one.start()
        self.http.start()
        self._ready.set()

    def look(self) -> None:
        """Make durable what has waited long enough, and say whether rows can come in."""
        for one in self._fetching:
            one.look()
        for name, gap in self._gaps.items():
            gap.note(self.intakes[name].last_covered)
        is_away = any(one.guard.last_error for one in self._fetching)
        (self._ready.clear if self._outage.lasts(is_away) else self._ready.set)()

    def drain(self) -> bool:
        """End every stream, with what came durable; tell whether every client has let go."""
        self._ready.clear()
        self._stop.set()
        for one in self._fetching:
            one.close()
        return self.flight.close()

    def close(self) -> None:
        self._stop.set()
        self._doors.close()

    def _close_sinks(self) -> None:
        for intake in self.intakes.values():
            intake.close()

    def _intake(self, name: str) -> Intake:
        return Intake(name, partial(self._opened, name), network=self._network, taken=self._count)

    def _opened(self, name: str, network: Network) -> Sequence[Sink]:
        options = registry.SinkOptions(network=network)
        with ExitStack() as stack:
            sinks = []
            for place in self.places:
                sinks.append(sink := registry.open_sink(place, [name], options))
                stack.callback(sink.close)
            stack.pop_all()
            return sinks

    def _fetches(self) -> list[Fetching]:
        if self._settings.source_endpoint is None:
            return []
        tokens = Tokens(self._settings.state_dir / "fetched.json")
        policy = Policy(attempts=None, failures_to_open=1_000)
        return [
            Fetching(
                stream := self._stream(name),
                intake,
                tokens,
                guard=Guard(stream.name, policy, metrics=self._metrics, stop=self._stop),
                stop=self._stop,
                interval=self._settings.commit_interval,
            )
            for name, intake in self.intakes.items()
        ]

    def _stream(self, name: str, network: Network | None = None) -> FlightTable:
        settings = self._settings
        assert settings.source_endpoint is not None  # noqa: S101  for the type checker
        return FlightTable(
            settings.source_endpoint,
            name,
            network=network,
            credentials=settings.access.source,
            secure=settings.is_secure,
        )

    def _told_network(self) -> Network | None:
        """Return the network that is named, or that the processor tells; else the first batch tells it."""
        settings = self._settings
        named = Network.of(settings.network) if settings.network else None
        if settings.source_endpoint is None:
            return named
        stream = self._stream(self._names[0])
        try:
            told = stream.network()
        except SourceUnavailable as error:
            _log.warning("%s; waiting for it", error)
            return named
        if not (named or told):
            return None
        return agreed(named, told, origin=settings.origin("network"), name=stream.name)

    def _count(self, pushed: Pushed) -> None:
        metrics = self._metrics
        if pushed.rows.num_rows:
            metrics.lags_behind(pushed.rows.column("closed_at")[-1].as_py().timestamp())
        metrics.received(pushed.last - pushed.first + 1, pushed.rows.nbytes)
        metrics.ledgers_processed.labels(_KIND, "success").inc(pushed.last - pushed.first + 1)
        metrics.current_ledger.labels(_KIND).set(pushed.last)

    def _check(self) -> Check:
        troubles = dict.fromkeys(str(one.trouble) for one in self.intakes.values() if one.trouble)
        sinks = ", ".join(map(redacted_url, self.places))
        return Check("sinks", not troubles, "; ".join(troubles), {"to": sinks}, essential=not troubles)


def _fetched(one: Fetching) -> Check:
    trouble = str(one.guard.last_error or one.trouble or "")
    return Check("processor", not trouble, trouble, essential=False)
