"""Every service of ours in this process, protected, and one way to make any call of any of them."""

from __future__ import annotations

import json
import re
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import urllib3
from grpc_reflection.v1alpha import reflection_pb2
from pyarrow import ArrowException, flight
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

import stellarrow as sa
from fakes.process import free_port
from stellarrow.config import Analytics, Consumer, Processor, Source, read
from stellarrow.net.address import Address
from stellarrow.security.key_store import KeyStore
from stellarrow.security.limits import Buckets, Rate
from stellarrow.services.analytics import AnalyticsService
from stellarrow.services.consumer import SinkService
from stellarrow.services.processor import ProcessorService
from stellarrow.services.source import SourceService
from stellarrow.sources.files import FileSource
from stellarrow.telemetry.metrics import Metrics

SECONDS = 10.0
REFUSED = ("unauthenticated", "denied", "too many")


@dataclass(frozen=True)
class Shown:
    """What a client shows: headers, and a certificate with its key and the authority it trusts."""

    headers: Mapping[str, str] = field(default_factory=dict)
    certificate: bytes | None = None
    key: bytes | None = None
    authority: bytes | None = None


@dataclass(frozen=True)
class Server:
    """One listener: its protocol and the calls it offers."""

    service: str
    protocol: str
    address: Address
    calls: tuple[str, ...]
    is_tls: bool = False

    def outcome(self, call: str, shown: Shown) -> str:
        """Make a call; say ok, unauthenticated, denied or too many (what else is wrong is ok)."""
        return {"http": _http, "grpc": _grpc, "flight": _flight}[self.protocol](self, call, shown)


@dataclass
class Deployment:
    """All services, and the store of keys that they share."""

    servers: list[Server]
    store: KeyStore
    state_dir: Path
    services: dict[str, Any]

    def server(self, service: str, protocol: str) -> Server:
        return next(one for one in self.servers if (one.service, one.protocol) == (service, protocol))


@contextmanager
def deployed(lake: Path, state: Path, flags: Mapping[str, str]) -> Iterator[Deployment]:
    """Start source, processor and the consumer's HTTP, as their settings say."""
    addresses = dict.fromkeys(("grpc_address", "flight_address", "health_port"), ":0")
    common = {"network": "synthetic", "state_dir": str(state), **flags}
    with ExitStack() as stack:
        source_settings = read(Source, {**common, **addresses}, environ={})
        files = stack.enter_context(closing(FileSource(lake)))
        source = stack.enter_context(
            closing(SourceService(source_settings, files, sa.Network.of("synthetic"), Metrics()))
        )
        source.start()
        processor_settings = read(Processor, {**common, **addresses, "source": f"file://{lake}"}, environ={})
        processor = stack.enter_context(closing(ProcessorService(processor_settings)))
        processor.start()
        consumer_settings = read(
            Consumer,
            {**common, "metrics_port": ":0", "flight_endpoint": f"127.0.0.1:{free_port()}"},
            environ={},
        )
        consumer = SinkService(consumer_settings, threading.Event())
        stack.enter_context(closing(consumer._secured))
        http = stack.enter_context(closing(consumer._http()))
        http.start()
        stored = f"parquet:{state / 'stored'}?ledgers=10"
        sa.run(str(lake), tables=["ledgers"], sinks=stored, network="synthetic")
        flags_of_analytics = {
            **common,
            "rest_port": ":0",
            "websocket_port": ":0",
            "flight_address": ":0",
            "health_port": ":0",
            "source": str(lake),
            "data": stored,
        }
        analytics = stack.enter_context(
            closing(AnalyticsService(read(Analytics, flags_of_analytics, environ={})))
        )
        analytics.start()
        secure = source_settings.tls_certificate is not None
        servers = [
            *_servers("source", source._grpc, source._flight, source._http, secure),
            *_servers("processor", processor.grpc, processor.flight, processor.http, secure),
            Server("consumer", "http", http.address, http.calls, secure),
            Server("analytics", "http", analytics.rest.address, analytics.rest.calls, secure),
            Server("analytics", "http", analytics.websocket.address, analytics.websocket.calls, secure),
        ]
        store = stack.enter_context(closing(KeyStore(state / "api_keys.sqlite3")))
        services: dict[str, Any] = {
            "source": source,
            "processor": processor,
            "consumer": consumer,
            "analytics": analytics,
        }
        for one in services.values():
            # Tests fail on purpose, more often than one address may.
            one._secured.access._failures = Buckets(Rate(1e6, 1_000_000))
        yield Deployment(servers, store, state, services)


FLIGHT_VERBS = (
    *("ListFlights", "GetFlightInfo", "GetSchema", "DoGet"),
    *("DoPut", "DoExchange", "DoAction", "ListActions"),
)


def _servers(service: str, control: Any, tables: Any, http: Any, secure: bool) -> Iterator[Server]:
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    health = ("/grpc.health.v1.Health/Check",)
    yield Server(service, "grpc", control.address, (*control.calls, *health, reflection), secure)
    verbs = tuple(f"Flight.{verb}" for verb in FLIGHT_VERBS)
    yield Server(service, "flight", tables.address, verbs, secure)
    yield Server(service, "http", http.address, http.calls, secure)


def _http(server: Server, call: str, shown: Shown) -> str:
    method, _, path = call.partition(" ")
    if method == "WEBSOCKET":
        return _websocket(server, path, shown)
    with http_pool(server, shown) as pool:
        scheme = "https" if server.is_tls else "http"
        url = f"{scheme}://{server.address}{re.sub('{[a-z_]+}', 'nobody', path)}"
        answer = pool.request(method, url, headers=dict(shown.headers), timeout=SECONDS)
    if call == "GET /health" and answer.status in (200, 503):
        return "ok" if "components" in answer.json() else "status alone"
    return {401: "unauthenticated", 403: "denied", 429: "too many"}.get(answer.status, "ok")


def _websocket(server: Server, path: str, shown: Shown) -> str:
    """Connect and subscribe: the upgrade alone is no answer."""
    scheme, context = ("wss", client_context(shown)) if server.is_tls else ("ws", None)
    url = f"{scheme}://{server.address}{path}"
    try:
        with connect(url, ssl=context, additional_headers=dict(shown.headers), proxy=None) as socket:
            socket.send('{"op": "subscribe", "id": "x", "channel": "ledgers"}')
            told = [json.loads(socket.recv(timeout=SECONDS)) for _ in range(2)][1]
    except InvalidStatus as refused:
        status = refused.response.status_code
        return {401: "unauthenticated", 403: "denied", 429: "too many"}.get(status, "ok")
    except (ConnectionClosed, InvalidMessage, OSError):
        return "unauthenticated"  # the handshake of TLS
    codes = {"unauthenticated": "unauthenticated", "permission_denied": "denied"}
    return codes.get(told.get("code", ""), "ok")


@contextmanager
def http_pool(server: Server, shown: Shown) -> Iterator[urllib3.PoolManager]:
    choices: dict[str, Any] = {}
    if server.is_tls:
        choices["ssl_context"] = client_context(shown)
    with urllib3.PoolManager(retries=False, **choices) as pool:
        yield pool


def client_context(shown: Shown) -> Any:
    context = ssl.create_default_context(cadata=(shown.authority or b"").decode())
    if shown.certificate and shown.key:
        with tempfile.NamedTemporaryFile() as file:
            file.write(shown.key + shown.certificate)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def channel(server: Server, shown: Shown) -> grpc.Channel:
    if not server.is_tls:
        return grpc.insecure_channel(str(server.address))
    own = grpc.ssl_channel_credentials(shown.authority, shown.key, shown.certificate)
    return grpc.secure_channel(str(server.address), own)


def _grpc(server: Server, call: str, shown: Shown) -> str:
    metadata: Any = [(name.lower(), value) for name, value in shown.headers.items()]
    plain: dict[str, Any] = {
        "request_serializer": lambda given: given,
        "response_deserializer": lambda given: given,
    }
    with channel(server, shown) as opened:
        try:
            if call.endswith("/ServerReflectionInfo"):
                asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
                method: Any = opened.stream_stream(call, **plain)
                next(method(iter([asked]), metadata=metadata, timeout=SECONDS))
            elif call.endswith("/StreamRawLedgers"):
                stream: Any = opened.unary_stream(call, **plain)(
                    b"\x08\x64", metadata=metadata, timeout=SECONDS
                )
                next(stream)
                stream.cancel()
            else:
                opened.unary_unary(call, **plain)(b"", metadata=metadata, timeout=SECONDS)
        except grpc.RpcError as error:
            return _STATUS.get(error.code(), "ok")
    return "ok"


def flight_client(server: Server, shown: Shown) -> flight.FlightClient:
    if not server.is_tls:
        return flight.connect(f"grpc://{server.address}")
    own = {"cert_chain": shown.certificate, "private_key": shown.key} if shown.certificate else {}
    return flight.connect(f"grpc+tls://{server.address}", tls_root_certs=shown.authority, **own)


def flight_options(shown: Shown) -> flight.FlightCallOptions:
    headers = [(name.lower().encode(), value.encode()) for name, value in shown.headers.items()]
    return flight.FlightCallOptions(headers=headers, timeout=SECONDS)


def _flight(server: Server, call: str, shown: Shown) -> str:
    if call in ("Flight.DoPut", "Flight.DoExchange"):
        return _written(server, call, shown)
    table = "raw_ledgers" if server.service == "source" else "ledgers"
    descriptor = flight.FlightDescriptor.for_path(table)
    ticket = flight.Ticket(b'{"table": "%s", "follow": false}' % table.encode())
    options = flight_options(shown)
    verbs: dict[str, Callable[[flight.FlightClient], Any]] = {
        "ListFlights": lambda client: list(client.list_flights(options=options)),
        "GetFlightInfo": lambda client: client.get_flight_info(descriptor, options),
        "GetSchema": lambda client: client.get_schema(descriptor, options),
        "DoGet": lambda client: client.do_get(ticket, options).read_all(),
        "DoAction": lambda client: list(client.do_action(flight.Action("any", b""), options)),
        "ListActions": lambda client: client.list_actions(options),
    }
    client = flight_client(server, shown)
    try:
        verbs[call.removeprefix("Flight.")](client)
    except flight.FlightUnauthenticatedError:
        return "unauthenticated"
    except flight.FlightUnauthorizedError:
        return "denied"
    except flight.FlightUnavailableError as error:
        return "too many" if "too many" in str(error) else "unauthenticated"
    except OSError as error:  # what pyarrow's client makes of any status of GetSchema
        return "denied" if "Unauthorized" in str(error) else "unauthenticated"
    except pa.ArrowInvalid as error:
        word = str(error).partition(":")[0]
        return {"UNAUTHENTICATED": "unauthenticated", "PERMISSION_DENIED": "denied"}.get(word, "ok")
    except (ArrowException, flight.FlightError, NotImplementedError, StopIteration):
        return "ok"
    finally:
        client.close()
    return "ok"


def _written(server: Server, call: str, shown: Shown) -> str:
    """Make DoPut or DoExchange by gRPC alone: pyarrow's client tells the end of a refused one on stderr."""
    whole = pa.schema([("a", pa.int64())]).serialize().to_pybytes()
    header = whole[8 : 8 + int.from_bytes(whole[4:8], "little")]
    message = b"\x0a\x02\x08\x01" + b"\x12" + bytes([len(header) & 0x7F | 0x80, len(header) >> 7]) + header
    metadata: Any = [(name.lower(), value) for name, value in shown.headers.items()]
    with channel(server, shown) as opened:
        method: Any = opened.stream_stream(f"/arrow.flight.protocol.FlightService/{call.partition('.')[2]}")
        try:
            list(method(iter([message]), metadata=metadata, timeout=SECONDS))
        except grpc.RpcError as error:
            return _STATUS.get(error.code(), "ok")
    return "ok"


_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: "unauthenticated",
    grpc.StatusCode.PERMISSION_DENIED: "denied",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "too many",
    grpc.StatusCode.UNAVAILABLE: "too many",
}
