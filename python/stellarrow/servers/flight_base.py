"""What every Flight server here shares: TLS, who may come in, compression, and errors clients can read."""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import (
    AccessRefused,
    ConfigError,
    Unauthenticated,
)
from stellarrow.net.address import Address, CannotListen
from stellarrow.net.redaction import shortened
from stellarrow.security.access import Access, Grant, admit, bound, guarded
from stellarrow.security.permissions import check_named
from stellarrow.security.principal import Call, Certificate, headers_of
from stellarrow.security.tls import Tls
from stellarrow.servers.flight_errors import InvalidArgument, Unimplemented, answering
from stellarrow.servers.peers import peer_address
from stellarrow.servers.status import status_of
from stellarrow.servers.tcp_keepalive import keep_asking

try:
    from pyarrow import flight
except ImportError as error:
    raise ConfigError("Arrow Flight is not in this build of pyarrow: pip install pyarrow") from error

_log: Final = logging.getLogger(__name__)
_CLOSE_SECONDS: Final = 3.0  # for calls that are under way
_LOOK_SECONDS: Final = 1.0  # between looks at whether the certificate has changed
_REPLACE_SECONDS: Final = 10.0
COMPRESSION: Final = "compression"  # the call header by which a client chooses
_CODECS: Final = ("none", "lz4", "zstd")


class FlightListener:
    """A Flight server at an address; it answers once made.

    Arrow reads a certificate once. When it changes, another server takes the address over, and what was begun
    ends at the one before.
    """

    def __init__(
        self,
        address: Address,
        make: Callable[[dict[str, Any]], flight.FlightServerBase],
        *,
        tls: Tls | None = None,
        access: Access | None = None,
        insecure: bool = False,
        put_call: str = "",
    ) -> None:
        """`put_call` is the least that security/permissions.py calls DoPut, where this server takes any."""
        guarded(address, tls=tls, access=access, insecure=insecure)
        if address.port:
            bound(address).close()  # says by whom and why it cannot be, which Arrow does not
        self._make = make
        self._tls = tls
        self._access = access
        self._put_call = put_call
        self._number = tls.current().number if tls else 0
        try:
            self._server = self._made(address)
        except (OSError, pa.ArrowException) as error:
            raise CannotListen(f"cannot listen on {address} ({error})") from error
        self.address = Address(address.host, self._server.port)
        keep_asking(self.address.port)
        self._stopping: list[threading.Thread] = []
        self._closed = threading.Event()
        if tls:
            threading.Thread(target=self._watch, name="stellarrow-flight-tls", daemon=True).start()

    def _made(self, address: Address) -> flight.FlightServerBase:
        return self._make(_arguments(address, self._tls, self._access, self._put_call))

    def close(self, grace: float = _CLOSE_SECONDS) -> bool:
        """Stop, and tell whether every client has let go; one that takes nothing is not waited for."""
        if not self._closed.is_set():
            self._closed.set()
            self._retire()
        deadline = time.monotonic() + grace
        for thread in self._stopping:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._stopping)

    def _retire(self) -> None:
        """Let the server take no more calls; those under way may end."""
        thread = threading.Thread(target=self._server.shutdown, name="stellarrow-flight-stop", daemon=True)
        thread.start()
        self._stopping.append(thread)

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            if self._tls and self._tls.current().number != self._number:
                self._number = self._tls.current().number
                self._replace()

    def _replace(self) -> None:
        self._retire()
        deadline = time.monotonic() + _REPLACE_SECONDS
        while not self._closed.is_set():
            try:
                self._server = self._made(self.address)
                keep_asking(self.address.port)
                return
            except (OSError, pa.ArrowException) as error:
                if time.monotonic() > deadline:
                    _log.error("Flight on %s does not listen any more (%s): restart", self.address, error)
                    return
                time.sleep(0.01)


def _arguments(address: Address, tls: Tls | None, access: Access | None, put_call: str) -> dict[str, Any]:
    """Return what flight.FlightServerBase is made with."""
    made: dict[str, Any] = {
        "location": f"grpc{'+tls' if tls else ''}://{address}",
        "middleware": {"calls": _Calls(access, by_headers=not (tls and tls.client_ca), put_call=put_call)},
    }
    if tls:
        certificate, key, ca = tls.pem()
        made["tls_certificates"] = [(certificate, key)]
        if ca:
            made |= {"verify_client": True, "root_certificates": ca}
    if access and not (tls and tls.client_ca):
        made["auth_handler"] = _Handshake()  # it would hide who a certificate belongs to
    return made


def write_options(context: flight.ServerCallContext) -> pa.ipc.IpcWriteOptions:
    """Return the compression the client asked for by call header; none unless it did."""
    call = context.get_middleware("calls")
    codec = (call.headers.get(COMPRESSION, "none").strip().lower() or "none") if call else "none"
    if codec not in _CODECS:
        raise ConfigError(f"the header compression is {shortened(codec)!r}: it must be {', '.join(_CODECS)}")
    return pa.ipc.IpcWriteOptions(compression=None if codec == "none" else codec)


class _Call(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow has no types
    """One call: its headers, and the token that a handshake is answered with."""

    def __init__(self, headers: dict[str, str], token: str = "") -> None:
        self.headers = headers
        self._token = token

    def sending_headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}"} if self._token else {}


_STREAMED: Final = frozenset((flight.FlightMethod.DO_PUT, flight.FlightMethod.DO_EXCHANGE))
_EARLY: Final = {
    flight.FlightMethod.GET_SCHEMA: "Flight.GetSchema",
    flight.FlightMethod.DO_PUT: "Flight.DoPut",
    flight.FlightMethod.DO_EXCHANGE: "Flight.DoExchange",
}


class _Calls(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # pyarrow has no types
    """Keeps what the verbs are asked with, which they do not see, and answers handshakes.

    `by_headers` tells that callers prove who they are by headers alone, not by a certificate.
    """

    def __init__(self, access: Access | None, *, by_headers: bool, put_call: str = "") -> None:
        self._access = access
        self._by_headers = by_headers
        self._untaken = _STREAMED - {flight.FlightMethod.DO_PUT} if put_call else _STREAMED
        self._early = {**_EARLY, **({flight.FlightMethod.DO_PUT: put_call} if put_call else {})}

    def start_call(self, info: flight.CallInfo, headers: Mapping[str, list[Any]]) -> _Call:
        with answering():
            plain = headers_of({name.lower(): [*map(text_of, values)] for name, values in headers.items()})
            token = ""
            if self._access and info.method == flight.FlightMethod.HANDSHAKE:
                token = _basic_key(plain)
                # Any verb that reads proves the key; who it is counts again in each call that follows.
                self._access.authenticate(Call("Flight.Handshake", {"authorization": f"Bearer {token}"}))
            if call := self._early.get(info.method):
                self._admit_early(Call(call, plain))
            if not self._access and info.method in self._untaken:
                raise Unimplemented(f"this server has no {_EARLY[info.method].removeprefix('Flight.')}")
            return _Call(plain, token)

    def _admit_early(self, call: Call) -> None:
        """Refuse here what can be.

        pyarrow gives each error of the verb GetSchema the status UNKNOWN, and a verb that takes a stream
        a thread before its caller has sent anything.
        """
        if self._access and (self._by_headers or call.token):
            self._access.admit(call)


def _basic_key(headers: Mapping[str, str]) -> str:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    padding = "=" * (-len(given) % 4)  # which Go's client leaves out
    try:
        user, _, key = base64.b64decode(given + padding, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user, key = "", ""
    if scheme.lower() != "basic" or user != "key" or not key:
        raise Unauthenticated("a handshake needs the user 'key' and an API key as the password")
    return key


class _Handshake(flight.ServerAuthHandler):  # type: ignore[misc]  # pyarrow has no types
    """Lets handshakes through to the middleware, which checks them."""

    def authenticate(self, _: Any, __: Any) -> None:
        """Have nothing to say: the credential is in a header."""

    def is_valid(self, _: bytes) -> bytes:
        return b""


class GuardedFlight(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """A Flight server whose every verb first asks who calls; subclasses answer what they offer.

    A verb that a subclass does not answer is unimplemented, to those who would be allowed to use it.
    """

    actions: Sequence[tuple[str, str]] = ()  # each with what it does

    def __init__(self, access: Access | None, **made: Any) -> None:
        check_named(f"Flight.{verb}" for verb in VERBS)
        self._access = access
        super().__init__(**made)

    def list_flights(self, context: flight.ServerCallContext, criteria: bytes) -> Iterator[Any]:
        with answering():
            self._admit("ListFlights", context)
        return self.flights(criteria)

    def get_flight_info(self, context: flight.ServerCallContext, descriptor: Any) -> flight.FlightInfo:
        with answering():
            self._admit("GetFlightInfo", context)
            return self.info(descriptor)

    def get_schema(self, context: flight.ServerCallContext, descriptor: Any) -> flight.SchemaResult:
        with answering():
            try:
                self._admit("GetSchema", context)
            except AccessRefused as error:
                raise InvalidArgument(f"{status_of(error).grpc}: {error}") from None
            return self.schema(descriptor)

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> Any:
        with answering():
            return self.get(context, self._admit("DoGet", context), ticket)

    def do_put(self, context: flight.ServerCallContext, descriptor: Any, reader: Any, writer: Any) -> None:
        with answering():
            self.put(context, self._admit(self.put_verb(descriptor), context), descriptor, reader, writer)

    def do_exchange(self, context: flight.ServerCallContext, *_: Any) -> None:
        self._refuse("DoExchange", context)

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Any:
        with answering():
            return self.act(self._admit("DoAction", context), action)

    def list_actions(self, context: flight.ServerCallContext) -> list[Any]:
        with answering():
            self._admit("ListActions", context)
        return list(self.actions)

    def act(self, *_: Any, **__: Any) -> Iterable[bytes]:
        """Do an action for a grant, and return what it answers."""
        raise Unimplemented("this server has no DoAction")

    def flights(self, criteria: bytes) -> Iterator[flight.FlightInfo]:
        raise NotImplementedError

    def info(self, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        raise NotImplementedError

    def schema(self, descriptor: flight.FlightDescriptor) -> flight.SchemaResult:
        raise NotImplementedError

    def get(self, context: flight.ServerCallContext, grant: Grant, ticket: flight.Ticket) -> Any:
        raise NotImplementedError

    def put_verb(self, _: flight.FlightDescriptor) -> str:
        """Return what security/permissions.py calls DoPut of this."""
        return "DoPut"

    def put(self, *_: Any, **__: Any) -> None:
        """Take what is put: the call's context, its grant, the descriptor, a reader and a writer."""
        raise Unimplemented("this server has no DoPut")

    def _admit(self, verb: str, context: flight.ServerCallContext) -> Grant:
        call = context.get_middleware("calls")
        identity = text_of(context.peer_identity())
        certificate = Certificate((f"SAN:{identity}", f"CN:{identity}")) if identity else None
        address = peer_address(text_of(context.peer()))
        return admit(self._access, Call(f"Flight.{verb}", call.headers, address, certificate))

    def _refuse(self, verb: str, context: flight.ServerCallContext) -> None:
        with answering():
            self._admit(verb, context)
            raise Unimplemented(f"this server has no {verb}")


VERBS: Final = (
    *("ListFlights", "GetFlightInfo", "GetSchema", "DoGet"),
    *("DoPut", "DoExchange", "DoAction", "ListActions", "Handshake"),
)


def headers_of_call(context: flight.ServerCallContext) -> Mapping[str, str]:
    """Return the headers of a call."""
    call = context.get_middleware("calls")
    return call.headers if call else {}


def gone_of(context: flight.ServerCallContext, grant: Grant) -> Callable[[], bool]:
    """Return what tells a stream that its client has left, or is not let in any more."""
    return lambda: context.is_cancelled() or grant.has_ended()


def text_of(value: Any) -> str:
    """Return a header's or a peer's text."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
