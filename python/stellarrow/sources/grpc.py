"""Ledgers from a raw-ledger service over gRPC: one endless stream, taken up again wherever it broke."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator
from typing import Final

from stellarrow.errors import ConfigError, LedgerMissing, SourceError, SourceUnavailable, Stopped
from stellarrow.extras import needing
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.connection_reasons import connection_reason
from stellarrow.net.credentials import NO_CREDENTIALS, ClientCredentials
from stellarrow.net.grpc_channel import NETWORK_KEY, channel_options, close_watched, proxy_of
from stellarrow.net.proxies import host_of
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Guard, Policy
from stellarrow.registry import SourceOptions
from stellarrow.sources.ledger_stream import StreamedLedger, StreamReader
from stellarrow.telemetry import tracing
from stellarrow.telemetry.metrics import Metrics

with needing("grpc://", "grpc"):
    import grpc

    from stellarrow.proto.raw_ledger_service_pb2 import RawLedger, StreamLedgersRequest

_WATCH_SECONDS: Final = 0.1
_SETTLE_SECONDS: Final = 1.0  # a server that refuses a stream does so sooner
_BRIEF_SECONDS: Final = 5.0  # for an answer that needs no ledger
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_METHOD: Final = "/raw_ledger_service.RawLedgerService/StreamRawLedgers"
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Or a new channel would inherit how long the last one wanted to wait.
    ("grpc.use_local_subchannel_pool", 1),
)
_TRANSIENT: Final = frozenset(
    (
        *(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED),
        *(grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED),
    )
)
_AWAY: Final = frozenset((grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED))
_READY: Final = grpc.ChannelConnectivity.READY
_ABSENT: Final = frozenset((grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE))


class GrpcSource:
    """Read ledgers from `grpc://host:port`, or `grpcs://` with TLS.

    A range beyond the latest ledger waits for the chain; a stream that is silent for the policy's `timeout`
    is taken for dead and opened anew.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: ClientCredentials = NO_CREDENTIALS,
        policy: Policy | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = redacted_url(url)
        scheme, _, self._target = url.partition("://")
        if scheme not in ("grpc", "grpcs") or not re.fullmatch(r"[^/?#@]+", self._target):
            raise ConfigError(f"{self.name!r} is no address of a raw-ledger service: write grpc://host:50053")
        self._secure = scheme == "grpcs"
        self._metadata = credentials.metadata_for(host_of(url))
        self._tls = credentials.tls
        self._options = (*_OPTIONS, *channel_options(self._target, secure=self._secure))
        proxy = proxy_of(self._target, secure=self._secure)
        self._way = f" through {proxy}" if proxy else ""
        self._brief = min(_BRIEF_SECONDS, (policy or Policy()).timeout)
        self._reader = StreamReader(
            self.name, self._begin, operation="StreamRawLedgers", policy=policy, metrics=metrics
        )

    @classmethod
    def open(cls, url: str, options: SourceOptions) -> GrpcSource:
        """Open a service, as the registry does."""
        return cls(url, credentials=options.access.source, policy=options.policy, metrics=options.metrics)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What stands before the server, for those who watch over it."""
        return (self._reader.guard,)

    def available(self) -> LedgerSet:
        """Raise ConfigError: the protocol has no way to ask."""
        raise ConfigError(
            f"{self.name} cannot tell which ledgers it has: name the ledgers you want (--ledgers A:B or A:)"
        )

    def network(self) -> Network | None:
        """Return what the server says beside its health; None of one that says nothing."""
        told = self._reader.guard.call("network", self._network_told)
        return Network.from_passphrase(told.decode()) if told else None

    def _network_told(self) -> bytes:
        with self._channel() as channel:
            call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_HEALTH)
            try:
                _, answered = call.with_call(b"", timeout=self._brief, metadata=self._metadata)
            except grpc.RpcError as error:
                if error.code() in _AWAY:
                    raise SourceUnavailable(
                        f"{self.name} does not answer{self._way}"
                        f" ({connection_reason(error.details() or '')}): is it started there?"
                    ) from error
                return b""
        told = dict(answered.initial_metadata()).get(NETWORK_KEY, b"")
        return told if isinstance(told, bytes) else told.encode()

    def ping(self) -> None:
        """Return once the server takes a connection."""

        def connect() -> None:
            channel = self._channel()
            ready = grpc.channel_ready_future(channel)
            try:
                ready.result(self._reader.guard.policy.timeout)
            except grpc.FutureTimeoutError as error:
                raise SourceUnavailable(
                    f"{self.name} does not answer{self._way}: is it started there?"
                ) from error
            finally:
                ready.cancel()
                close_watched(channel.close)

        self._reader.guard.call("ping", connect)

    def read(self, ledgers: LedgerRange) -> Generator[LedgerChunk]:
        """Yield every ledger of the range, over as many streams as it takes."""
        return self._reader.read(ledgers)

    def refetch(self, chunk: LedgerChunk) -> LedgerChunk:
        """Return a chunk as the service gives it now."""
        return self._reader.refetch(chunk)

    def close(self) -> None:
        """Let reads in any thread end soon."""
        self._reader.close()

    def _begin(self, wanted: LedgerRange) -> _Stream:
        return _Stream(
            self._channel(),
            wanted.first,
            name=f"{self.name}{self._way}",
            metadata=self._metadata,
            timeout=self._reader.guard.policy.timeout,
            stop=self._reader.stop,
            connected=self._connected,
        )

    def _connected(self) -> None:
        """Note that the server is there: at the tip of the chain it may have nothing to send for long."""
        self._reader.guard.last_error = None

    def _channel(self) -> grpc.Channel:
        if self._secure:
            ca, certificate, key = self._tls.pem()
            own = grpc.ssl_channel_credentials(ca, key, certificate)
            return grpc.secure_channel(self._target, own, options=self._options)
        return grpc.insecure_channel(self._target, options=self._options)


class _Stream:
    """One call and its channel. A watch cancels the call where a message takes too long."""

    def __init__(
        self,
        channel: grpc.Channel,
        due: int,
        *,
        name: str,
        metadata: tuple[tuple[str, str], ...],
        timeout: float,
        stop: threading.Event,
        connected: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._connected = connected
        self._state = grpc.ChannelConnectivity.IDLE
        channel.subscribe(self._changed)
        self._name = name
        self._timeout = timeout
        self._stop = stop
        self._due = due
        self._waits_until: float | None = None
        self._late = False
        self._ended = threading.Event()
        method = channel.unary_stream(
            _METHOD,
            request_serializer=StreamLedgersRequest.SerializeToString,
            response_deserializer=RawLedger.FromString,
        )
        self._traced = tracing.Call("StreamRawLedgers", first_ledger=due)
        self._call = method(
            StreamLedgersRequest(start_ledger=due), metadata=(*metadata, *self._traced.headers)
        )
        threading.Thread(target=self._watch, name="stellarrow-grpc-watch", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self._traced.end()
        self._call.cancel()
        self._channel.unsubscribe(self._changed)
        close_watched(self._channel.close)

    def next(self) -> StreamedLedger:
        self._waits_until = time.monotonic() + self._timeout
        try:
            message = next(self._call)
        except StopIteration as error:
            raise SourceUnavailable(f"{self._name} ended the stream") from error
        except grpc.RpcError as error:
            raise self._translated(error) from error
        finally:
            self._waits_until = None
        return StreamedLedger(message.sequence, message.ledger_close_meta_xdr, message.traceparent)

    def _changed(self, state: grpc.ChannelConnectivity) -> None:
        self._state = state

    def _watch(self) -> None:
        """Cancel the call when told to stop, or a message is late; its reader may take long."""
        settles_at = time.monotonic() + _SETTLE_SECONDS
        is_told = False
        while not self._ended.wait(_WATCH_SECONDS):
            if not is_told and self._state is _READY and time.monotonic() > settles_at:
                is_told = True
                self._connected()
            until = self._waits_until
            self._late = until is not None and time.monotonic() > until
            if self._late or self._stop.is_set():
                self._call.cancel()
                return

    def _translated(self, error: grpc.RpcError) -> SourceError | Stopped:
        if self._stop.is_set():
            return Stopped(f"{self._name} was asked to stop")
        if self._late:
            return SourceUnavailable(f"{self._name} sent nothing for {self._timeout:g} s")
        code, details = error.code(), connection_reason(error.details() or "")
        text = f"{self._name}: {details or code.name}"
        if code in _TRANSIENT:
            return SourceUnavailable(text)
        if code in _ABSENT:
            return LedgerMissing(f"{self._name} does not give ledger {self._due}: {details}")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" not in str(details):
            return SourceUnavailable(text)  # it has no room for us now
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return SourceError(f"{self._name} is no raw-ledger service: check host and port")
        return SourceError(text)
