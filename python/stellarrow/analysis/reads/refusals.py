"""What is wrong with a question, and with what: the part of it, or the place it goes on at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from stellarrow.errors import ConfigError, StellarrowError, Unavailable, joined
from stellarrow.net.refused import Refused
from stellarrow.sql.bounds import OutOfBounds
from stellarrow.storage.files import Gone

__all__ = ["FellOut", "NotFound", "Refused", "blaming", "still_there"]

_RETRY_SECONDS: Final = 1.0


class NotFound(StellarrowError):
    """There is nothing of that name, or it has no rows; `field` is what named it."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class FellOut(StellarrowError):
    """What an answer would be of is no longer kept; `gaps` say where the ledgers went, as JSON has it."""

    def __init__(self, message: str, *, gaps: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.gaps = tuple(gaps)


@contextmanager
def blaming(field: str) -> Iterator[None]:
    """Name the part of the question that an error is about."""
    try:
        yield
    except (Refused, NotFound, FellOut, OutOfBounds):
        raise
    except ConfigError as error:
        raise Refused(str(error), field=field) from error


@contextmanager
def still_there() -> Iterator[None]:
    """Translate what left between a look and a read: the next look knows of it."""
    try:
        yield
    except Gone as error:
        said = joined(str(error), "ask again in a moment")
        raise Unavailable(said, retry_after=_RETRY_SECONDS) from error
