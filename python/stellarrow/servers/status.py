"""Which status an error has over gRPC, Flight and HTTP: the one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from stellarrow.analysis.reads.refusals import FellOut, NotFound
from stellarrow.errors import (
    ApiKeyExists,
    ConfigError,
    Damaged,
    LedgerMissing,
    LedgerUnsound,
    PermissionDenied,
    StellarrowError,
    TooManyCalls,
    Unauthenticated,
    Unavailable,
    UnknownApiKey,
    UnknownReader,
    UnknownSession,
)
from stellarrow.sql.bounds import TookTooLong, TooLarge


@dataclass(frozen=True, slots=True)
class Status:
    """A status by its gRPC name, such as NOT_FOUND, and its HTTP number."""

    grpc: str
    http: int


INTERNAL: Final = Status("INTERNAL", 500)
# The first kind that fits counts.
TABLE: Final[tuple[tuple[type[StellarrowError], Status], ...]] = (
    (Unauthenticated, Status("UNAUTHENTICATED", 401)),
    (PermissionDenied, Status("PERMISSION_DENIED", 403)),
    (TooManyCalls, Status("RESOURCE_EXHAUSTED", 429)),
    (UnknownSession, Status("NOT_FOUND", 404)),
    (UnknownReader, Status("NOT_FOUND", 404)),
    (UnknownApiKey, Status("NOT_FOUND", 404)),
    (NotFound, Status("NOT_FOUND", 404)),
    (FellOut, Status("OUT_OF_RANGE", 410)),
    (ApiKeyExists, Status("ALREADY_EXISTS", 409)),
    (LedgerMissing, Status("NOT_FOUND", 404)),
    (LedgerUnsound, Status("DATA_LOSS", 500)),
    (Damaged, Status("DATA_LOSS", 500)),
    # The query was right: it may be asked again of fewer ledgers, or for less of them.
    (TookTooLong, Status("DEADLINE_EXCEEDED", 504)),
    (TooLarge, Status("RESOURCE_EXHAUSTED", 422)),
    (ConfigError, Status("INVALID_ARGUMENT", 400)),
    (Unavailable, Status("UNAVAILABLE", 503)),
)


def status_of(error: StellarrowError) -> Status:
    """Return the status of an error; INTERNAL for what is no fault of the caller and passes by no waiting."""
    return next((status for kind, status in TABLE if isinstance(error, kind)), INTERNAL)
