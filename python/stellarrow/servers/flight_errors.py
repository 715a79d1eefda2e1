"""The errors of a Flight server as Arrow gives them to clients: a status and a sentence."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.servers.status import status_of
from stellarrow.sql.bounds import TooLarge

try:
    from pyarrow import flight
except ImportError as error:
    raise ConfigError("Arrow Flight is not in this build of pyarrow: pip install pyarrow") from error

_log: Final = logging.getLogger(__name__)


class _Refused(Exception):
    """What Arrow sends on; it would add a traceback that tells clients nothing, where it could format one."""

    @property
    def __suppress_context__(self) -> bool:  # type: ignore[override]  # pyarrow has no types
        raise RuntimeError


class InvalidArgument(_Refused, pa.ArrowInvalid):  # type: ignore[misc]  # pyarrow has no types
    pass


class NotFound(_Refused, pa.ArrowKeyError):  # type: ignore[misc]  # pyarrow has no types
    def __str__(self) -> str:
        return str(self.args[0])


class Unimplemented(_Refused, pa.ArrowNotImplementedError):  # type: ignore[misc]  # pyarrow has no types
    pass


# Arrow has no error of its own for DATA_LOSS: INTERNAL comes nearest.
_FLIGHT: Final[Mapping[str, type[Exception]]] = {
    "UNAUTHENTICATED": flight.FlightUnauthenticatedError,
    "PERMISSION_DENIED": flight.FlightUnauthorizedError,
    "RESOURCE_EXHAUSTED": flight.FlightUnavailableError,  # Arrow has none: who is told so tries again later
    "DEADLINE_EXCEEDED": flight.FlightTimedOutError,
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "UNAVAILABLE": flight.FlightUnavailableError,
}


def translated(error: StellarrowError) -> Exception:
    """Return the error as Arrow gives it a gRPC status."""
    kind = _FLIGHT.get(status_of(error).grpc, flight.FlightInternalError)
    if isinstance(error, TooLarge):
        kind = flight.FlightServerError  # UNKNOWN: no client asks it again by itself
    made: Exception = kind(str(error))
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
