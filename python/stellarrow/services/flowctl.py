"""Tells a flowctl control plane that a service is there, and that it is well; whether it listens or not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.extras import needing
from stellarrow.net.address import Address
from stellarrow.net.grpc_channel import channel_options, close_watched

with needing("flowctl", "grpc"):
    import grpc

    from stellarrow.proto import flowctl_pb2 as messages

_SERVICE: Final = "flowctl.ControlPlane"
_TIMEOUT: Final = 5.0  # seconds for a call
_LOST: Final = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.IDLE)
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Or a new channel would inherit how long the last one wanted to wait.
    ("grpc.use_local_subchannel_pool", 1),
)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a control plane is told of a service; `kind` is SOURCE, PROCESSOR, SINK or PIPELINE."""

    id: str
    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    health: str
    component_id: str = ""
    max_inflight: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)


class Registration:
    """Registers a service, then sends heartbeats, from a thread; what fails is tried again each interval."""

    def __init__(
        self,
        endpoint: Address,
        service: Service,
        *,
        interval: float,
        measure: Callable[[], Mapping[str, float]],
    ) -> None:
        self.endpoint = endpoint
        self.trouble = "not registered yet"
        self._service = service
        self._interval = interval
        self._measure = measure
        self._stop = threading.Event()
        self._known_as: str | None = None
        self._channel = grpc.insecure_channel(
            str(endpoint), options=(*_OPTIONS, *channel_options(str(endpoint), secure=False))
        )
        self._channel.subscribe(self._changed)
        self._thread = threading.Thread(target=self._run, name="stellarrow-flowctl", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._channel.unsubscribe(self._changed)
        close_watched(self._channel.close)
        if self._thread.ident is not None:
            self._thread.join()

    def _changed(self, state: grpc.ChannelConnectivity) -> None:
        if state in _LOST:  # who comes back after this may not know us any more
            self._known_as = None

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._tell()
            except (grpc.RpcError, ValueError) as error:  # ValueError: the channel was closed meanwhile
                if self._stop.is_set():
                    return
                self._known_as = None
                self._note(f"{self.endpoint} does not answer ({_reason(error)}); trying again")
            self._stop.wait(self._interval)

    def _tell(self) -> None:
        if self._known_as is None:
            answer = self._call("Register", self._info(), messages.RegistrationAck)
            self._known_as = answer.service_id or self._service.id
            self._note("")
            return
        beat = messages.ServiceHeartbeat(service_id=self._known_as, metrics=dict(self._measure()))
        beat.timestamp.FromNanoseconds(time.time_ns())
        self._call("Heartbeat", beat, None)

    def _call(self, method: str, request: Any, answer: Any) -> Any:
        call = self._channel.unary_unary(
            f"/{_SERVICE}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString if answer else bytes,
        )
        return call(request, timeout=_TIMEOUT)

    def _info(self) -> messages.ServiceInfo:
        service = self._service
        return messages.ServiceInfo(
            service_id=service.id,
            service_type=f"SERVICE_TYPE_{service.kind}",
            input_event_types=service.takes,
            output_event_types=service.gives,
            health_endpoint=service.health,
            max_inflight=service.max_inflight,
            metadata=dict(service.metadata),
            component_id=service.component_id,
        )

    def _note(self, trouble: str) -> None:
        if trouble != self.trouble:
            _log.info("flowctl: %s", trouble or f"registered with {self.endpoint}")
        self.trouble = trouble


def _reason(error: Exception) -> str:
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error).splitlines()[0]
