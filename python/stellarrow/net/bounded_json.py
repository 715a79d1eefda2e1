"""A JSON object of a stranger: of bounded size and depth, or one sentence that says why not."""

from __future__ import annotations

import json
from typing import Any, Final

from stellarrow.errors import ConfigError

_MAX_DEPTH: Final = 32


def read_object(text: bytes, what: str, *, largest: int) -> dict[str, Any]:
    """Return the object; ConfigError, about `what`, where it is none, too large or too deep."""
    if len(text) > largest:
        raise ConfigError(f"{what} has {len(text):,} bytes: at most {largest:,} are read")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(f"{what} is no JSON ({reason}): send an object in UTF-8") from error
    if not isinstance(given, dict):
        raise ConfigError(f"{what} is no JSON object: send one")
    if _depth(given) > _MAX_DEPTH:
        raise ConfigError(f"{what} is nested more than {_MAX_DEPTH} deep: send it flatter")
    return given


def _depth(value: Any) -> int:
    """Return how deep lists and objects are nested, without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        if depth <= _MAX_DEPTH and isinstance(one, dict | list):
            inner = one.values() if isinstance(one, dict) else one
            waiting += [(part, depth + 1) for part in inner if isinstance(part, dict | list)]
    return deepest
