"""Contract specs and values in words."""

from __future__ import annotations

from typing import Any

from stellarrow import _core
from stellarrow.core.errors import bytes_like, translate


def spec_json(code: Any) -> str | None:
    """Return a contract's interface (SEP-48) in its code, a JSON array of SCSpecEntry, if there is one."""
    return _core.spec_json(bytes_like(code))


def spec_status(code: Any) -> str:
    """Return what became of the interface in a contract's code: read, absent, malformed or newer."""
    return _core.spec_status(bytes_like(code))


def meta_json(code: Any) -> str | None:
    """Return a contract's meta (SEP-46) in its code, a JSON array of SCMetaEntry, if there is one."""
    return _core.meta_json(bytes_like(code))


def describe(scval: str) -> str:
    """Say a base64 ScVal in words."""
    try:
        return _core.describe(scval)
    except _core.CoreError as error:
        raise translate(error) from error
