"""What crosses the door: bytes in, the core's errors translated to ours."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from stellarrow import _core
from stellarrow.errors import (
    ChainBroken,
    ConfigError,
    DecodeError,
    NetworkMismatch,
    StellarrowError,
)


def bytes_like(data: Any) -> Any:
    """Return data as the core takes it, without a copy; a ConfigError where it is no contiguous bytes.

    The core copies what is neither bytes nor of Arrow, as that may change while it reads.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, pa.Buffer) and not data.is_mutable:
        return as_array(data)
    try:
        return memoryview(data).cast("B")
    except TypeError as error:
        kind = type(data).__name__
        raise ConfigError(f"the data is a {kind}, not contiguous bytes: read the file first") from error


def as_array(data: pa.Buffer) -> pa.Array:
    """Return a buffer as the core takes it without a copy: nobody may change it meanwhile."""
    return pa.Array.from_buffers(pa.uint8(), data.size, [None, data])


def translate(error: _core.CoreError, place: str | None = None) -> StellarrowError:
    """Return the core's error as ours, with ledger, path and offset, and the place in front."""
    kind, message, ledger, path, offset = error.args
    answer = f"{place}: {message}" if place else str(message)
    if kind == "decode":
        return DecodeError(answer, ledger=ledger, path=path, offset=offset)
    kinds: dict[str, type[StellarrowError]] = {
        "network": NetworkMismatch,
        "chain": ChainBroken,
        "config": ConfigError,
    }
    return kinds[kind](answer)
