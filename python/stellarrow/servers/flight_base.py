"""What every Flight server here shares: TLS, who may come in, compression, and errors clients can read."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import (
    ConfigError,
    StellarrowError,
)
from stellarrow.net.address import Address
from stellarrow.security.access import Authenticator, bound, guarded
from stellarrow.security.tls import Tls
from stellarrow.servers.status import status_of

try:
    from pyarrow import flight
except ImportError as error:
    raise ConfigError("Arrow Flight is not in this build of pyarrow: pip install pyarrow") from error

_log: Final = logging.getLogger(__name__)
COMPRESSION: Final = "compression"  # the call header by which a client chooses
_CODECS: Final = ("none", "lz4", "zstd")


def arguments(
    address: Address, *, tls: Tls | None, authenticator: Authenticator | None, insecure: bool
) -> dict[str, Any]:
    """Return what flight.FlightServerBase is made with, or refuse an address open to others."""
    guarded(address, tls=tls, authenticator=authenticator, insecure=insecure)
    if address.port:
        bound(address).close()  # says by whom and why it cannot be, which Arrow does not
    made: dict[str, Any] = {
        "location": f"grpc{'+tls' if tls else ''}://{address}",
        "middleware": {"calls": _Calls(authenticator)},
    }
    if tls:
        certificate, key, ca = tls.pem()
        made["tls_certificates"] = [(certificate, key)]
        if ca:
            made |= {"verify_client": True, "root_certificates": ca}
    return made


def write_options(context: flight.ServerCallContext) -> pa.ipc.IpcWriteOptions:
    """Return the compression the client asked for by call header; none unless it did."""
    call = context.get_middleware("calls")
    codec = call.compression if call else "none"
    if codec not in _CODECS:
        raise ConfigError(f"the header compression is {codec!r}: it must be {', '.join(_CODECS)}")
    return pa.ipc.IpcWriteOptions(compression=None if codec == "none" else codec)


class _Call(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow has no types
    """One call: what its headers chose."""

    def __init__(self, compression: str) -> None:
        self.compression = compression


class _Calls(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Lets only callers in whom the authenticator knows."""

    def __init__(self, authenticator: Authenticator | None) -> None:
        self._authenticator = authenticator

    def start_call(self, _: flight.CallInfo, headers: Mapping[str, list[Any]]) -> _Call:
        plain = {name.lower(): text_of(values[-1]) for name, values in headers.items() if values}
        if self._authenticator:
            try:
                self._authenticator(plain)
            except PermissionError as error:
                raise flight.FlightUnauthenticatedError(str(error) or "authentication required") from error
        return _Call(plain.get(COMPRESSION, "none").strip().lower() or "none")


def text_of(value: Any) -> str:
    """Return a header's or a peer's text."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


class _Refused(Exception):
    """What Arrow sends on; it would add a traceback that tells clients nothing, where it could format one."""

    @property
    def __suppress_context__(self) -> bool:  # type: ignore[override]
        raise RuntimeError


class InvalidArgument(_Refused, pa.ArrowInvalid):  # type: ignore[misc]
    pass


class NotFound(_Refused, pa.ArrowKeyError):  # type: ignore[misc]
    def __str__(self) -> str:
        return str(self.args[0])


class Unimplemented(_Refused, pa.ArrowNotImplementedError):  # type: ignore[misc]
    pass


# Arrow has no error of its own for DATA_LOSS: INTERNAL comes nearest.
_FLIGHT: Final[Mapping[str, type[Exception]]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "UNAVAILABLE": flight.FlightUnavailableError,
}


def translated(error: StellarrowError) -> Exception:
    """Return the error as Arrow gives it a gRPC status."""
    made: Exception = _FLIGHT.get(status_of(error).grpc, flight.FlightInternalError)(str(error))
    return made


@contextmanager
def answering() -> Generator[None]:
    """Translate the errors of what is asked."""
    try:
        yield
    except StellarrowError as error:
        raise translated(error) from None
    except (_Refused, flight.FlightError):
        raise
    except Exception as error:
        _log.exception("unexpected error in a call")
        text = f"unexpected error: {type(error).__name__}; the server's log has more"
        raise flight.FlightInternalError(text) from None
